"""What holds the jobs of a server under test: `sitecustomize.py`, for the Python path of its processes."""

from pathlib import Path

FOLDER = Path(__file__).parent
