"""A config file as a form sends it."""

from io import BytesIO

import pytest
from fastapi import UploadFile

from app.core.errors import Invalid
from app.recipes.foreign import LARGEST_BYTES
from app.recipes.given import SentConfig


def sent(data: bytes) -> SentConfig:
    return SentConfig(UploadFile(BytesIO(data), filename="train.yaml"))


@pytest.mark.parametrize("before", [b"# ", b"#  ", b"#   "])
def test_a_file_that_is_too_large_is_said_to_be_wherever_it_is_cut(before: bytes) -> None:
    with pytest.raises(Invalid, match="too large for a training config"):
        sent(before + "对".encode() * LARGEST_BYTES).read()


def test_a_file_counts_as_windows_saves_it_and_one_in_another_encoding_is_refused() -> None:
    assert sent("\ufefflora_rank: 8\nlora_alpha: 8\n".encode()).read().values == {
        "lora_r": 8,
        "lora_alpha": 8,
    }
    with pytest.raises(Invalid, match="no text in UTF-8"):
        sent("lora_rank: 8 # é".encode("latin-1")).read()
