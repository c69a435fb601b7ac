"""A tool's own checkpoints, so that a run whose worker was lost goes on instead of anew.

A tool writes one file after the other, and a worker may be lost between two of them. So each checkpoint gets a record beside the tool's
files once it is complete: every file's size and hash, what had been trained by then, and the losses so far. It is gone on with only where
all of that is still so.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from app.files import file_sha256
from app.runs.folder_names import WORKPLACE

_RECORD: Final = "whole-{step}.json"


@dataclass(frozen=True)
class Window:
    """The mean loss of so many steps, in nats a trained token."""

    loss: float
    steps: int


class Record(BaseModel):
    """A complete checkpoint: `files` by name with size in bytes and sha256, places of the samples `seen`, and what was logged; the
    `versions` of the tool that trained up to there, the newest last.
    """

    step: int
    folder: str
    files: dict[str, tuple[int, str]]
    seen: list[int]
    windows: list[tuple[float, int]]
    versions: list[str] = Field(default_factory=list)


def record(
    workplace: Path,
    step: int,
    folder: Path,
    seen: list[int],
    windows: list[Window],
    versions: Sequence[str] = (),
) -> None:
    """Write down what the tool has just saved in `folder`. One that it has removed again meanwhile is passed over."""
    try:
        files = {
            str(path.relative_to(folder)): _known(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    except OSError:
        return
    told = Record(
        step=step,
        folder=str(folder),
        files=files,
        seen=seen,
        windows=[(window.loss, window.steps) for window in windows],
        versions=list(versions),
    )
    place = workplace / _RECORD.format(step=step)
    partial = place.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(told.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(place)


def newest_whole(job_folder: Path) -> Record | None:
    """Of all attempts below the job's folder, the checkpoint of the highest step that is as it was recorded."""
    found = [
        one for path in job_folder.glob(f"*/{WORKPLACE}/{_RECORD.format(step='*')}") if (one := _read(path))
    ]
    return next((one for one in sorted(found, key=lambda one: -one.step) if _is_whole(one)), None)


def _known(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path.stat().st_size, file_sha256(path)


def _read(path: Path) -> Record | None:
    try:
        return Record.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def _is_whole(one: Record) -> bool:
    return bool(one.files) and all(
        _is_the_same(Path(one.folder) / name, *told) for name, told in one.files.items()
    )


def _is_the_same(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and file_sha256(path) == sha256
    except OSError:
        return False


def mean_loss(windows: list[Window]) -> float | None:
    """Over all steps that were logged."""
    steps = sum(window.steps for window in windows)
    return sum(window.loss * window.steps for window in windows) / steps if steps else None
