"""The worker's child processes: do the work with torch, know no database."""
