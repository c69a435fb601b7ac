"""What an export's child and what clears up after it call the same folders. Loads no database."""

from typing import Final

FOLDER: Final = "export"
# What is being written bears this until it is whole.
PARTIAL: Final = ".partial-export"
