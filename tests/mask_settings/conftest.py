"""What tests of mask settings share."""

from tests.support.tokenizers import smollm2, smollm2_folder

__all__ = ["smollm2", "smollm2_folder"]
