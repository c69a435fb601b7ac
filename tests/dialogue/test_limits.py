"""Limits have one number each, which settings and files take over."""

from pathlib import Path

import pytest

from app.core.settings import Settings
from app.dialogue import limits
from app.dialogue.limits import spoken_size
from app.interchange import ImportLimits


def test_files_and_settings_take_the_same_numbers(tmp_path: Path) -> None:
    files = ImportLimits()
    assert files.file_bytes == Settings(data_dir=tmp_path).max_upload_bytes == limits.FILE_BYTES
    assert files.record_bytes == limits.CONVERSATION_BYTES
    assert (files.depth, files.number_digits) == (limits.DEPTH, limits.NUMBER_DIGITS)


@pytest.mark.parametrize(
    ("size", "spoken"),
    [
        (12, "12 bytes"),
        (300 * 1024, "300 KB"),
        (4 * limits.MIB, "4 MB"),
        (1572864, "1.5 MB"),
        (limits.FILE_BYTES, "1 GB"),
    ],
)
def test_sizes_are_said_as_people_write_them(size: int, spoken: str) -> None:
    assert spoken_size(size) == spoken
