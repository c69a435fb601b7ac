"""The worker's parent process: owns the queue and the database, imports no torch."""
