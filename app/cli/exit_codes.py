"""What commands that judge end with, besides 0: scripts tell “no” from “nobody knows” by it."""

from typing import Final

RED: Final = 1
NOT_JUDGED: Final = 2
