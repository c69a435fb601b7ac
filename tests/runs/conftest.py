"""What tests of runs share."""

from tests.support.tokenizers import smollm2_folder

__all__ = ["smollm2_folder"]
