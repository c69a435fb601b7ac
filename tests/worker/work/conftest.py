"""What several kinds of work are tried on."""

from tests.support.taught import taught

__all__ = ["taught"]
