"""Scratch folders, what processes that were killed left of theirs, and where those that are started find code."""

import os
import time
from pathlib import Path

import pytest

from app.accounts import first_run
from app.files import CODE_FOLDER, python_path, scratch_folder


def test_a_scratch_folder_goes_with_its_block_and_an_abandoned_one_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (abandoned := tmp_path / ".mine-of-a-killed-process").mkdir()
    (other := tmp_path / ".others").mkdir()
    (file := tmp_path / ".mine-no-folder").touch()
    later = time.time() + 60
    with scratch_folder(tmp_path, ".mine-") as first:
        (first / "half").touch()
        assert first.stat().st_mode & 0o077 == 0
        assert abandoned.exists(), "too young to tell"
        monkeypatch.setattr("app.files.time.time", lambda: later)
        with scratch_folder(tmp_path, ".mine-") as second:
            assert (second != first, (first / "half").exists(), abandoned.exists()) == (True, True, False)
        assert first.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted([other, file])


def test_a_secret_that_was_never_finished_goes_with_the_next(tmp_path: Path) -> None:
    (half := tmp_path / ".setup-code-abc").write_text("half")
    os.utime(half, (time.time() - 3600,) * 2)
    assert first_run.setup_code(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["setup-code"]


def test_processes_that_are_started_find_the_code_first_and_then_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = str(CODE_FOLDER)
    for there, expected in (
        ("", [code]),
        ("/mine", [code, "/mine"]),
        (f"/mine:{code}:/other", [code, "/mine", "/other"]),
    ):
        monkeypatch.setenv("PYTHONPATH", there)
        assert python_path().split(":") == expected
    monkeypatch.delenv("PYTHONPATH")
    assert python_path() == code
