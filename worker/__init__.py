"""Everything that needs torch, and the Celery worker that supervises it."""
