"""The checkpoints in a job's folder, and which of them are worth their room. Loads no database, for the worker's child asks too."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from app.recipes.watching import KeepCheckpoints

CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
STATE_FIELDS: Final = "training_state.json"


class Found(NamedTuple):
    """A checkpoint of so many steps, whole or not."""

    step: int
    folder: Path


def checkpoint_folders(job_folder: Path) -> list[Found]:
    """By step; of a step that two attempts came to, the later one's."""
    found: dict[int, tuple[int, Path]] = {}
    for path in job_folder.glob("*/checkpoints/*"):
        match, attempt = CHECKPOINT.fullmatch(path.name), path.parent.parent.name
        if match and attempt.isdigit():
            here = (int(attempt), path)
            found[int(match[1])] = max(found.get(int(match[1]), here), here)
    return [Found(step, path) for step, (_attempt, path) in sorted(found.items())]


def loss_at(folder: Path, step: int) -> float | None:
    """The held-out loss (nats a trained token) that was measured at that very step; None where none was, or in a torn one."""
    try:
        measured = json.loads((folder / STATE_FIELDS).read_text("utf-8"))["last_evaluation"]
        return float(measured[1]) if measured and measured[0] == step else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def best_of(losses: Mapping[int, float]) -> int | None:
    """The step of the lowest loss, the earliest of equals; None without any."""
    return min(losses, key=lambda step: (losses[step], step), default=None)


def best_step(found: Iterable[tuple[int, Path]]) -> int | None:
    """Of the checkpoints, the one with the lowest held-out loss of its own."""
    measured = {step: loss_at(folder, step) for step, folder in found}
    return best_of({step: loss for step, loss in measured.items() if loss is not None})


def kept_steps(found: list[Found], choice: KeepCheckpoints) -> set[int]:
    """Those that stay once the run has ended."""
    if choice == "none" or not found:
        return set()
    if choice == "all":
        return {one.step for one in found}
    return {found[-1].step, best_step(found) or found[-1].step}
