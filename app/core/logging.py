"""Log lines to standard error. They never hold dialogue text, tokens or passwords."""

import logging
import sys


def get_logger(name: str) -> logging.Logger:
    """A logger below the `sft_studio` root."""
    return logging.getLogger(f"sft_studio.{name}")


def configure_logging(level: str = "INFO") -> None:
    """One handler on standard error, plain lines with the time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("sft_studio")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
