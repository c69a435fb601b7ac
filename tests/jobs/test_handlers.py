"""Where a job is done."""

from pathlib import Path

import pytest

from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.handlers import Workplace


def test_an_attempts_folder_lies_in_the_storage(tmp_path: Path) -> None:
    place = Workplace(Settings(data_dir=tmp_path), Storage(tmp_path / "storage"), "runs/7/attempt-2")
    assert place.output_dir == tmp_path / "storage" / "runs/7/attempt-2"
    with pytest.raises(ValueError, match="outside the root"):
        _ = Workplace(place.settings, place.storage, "../elsewhere").output_dir
