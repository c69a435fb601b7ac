"""Which of a run's working files stay, by one rule: its checkpoints serve the run alone.

A run that succeeded or was cancelled needs none of them: its adapter lies beside them, or nothing of it is wanted. Of
one that failed the newest stays, for whoever looks into it. Halves of files that a killed process left stay nowhere.
"""

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlmodel import col, select

from app.core.database import reading
from app.core.storage import Storage
from app.jobs.models import Job, JobKind, JobState

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
# What is being written bears this until it is whole (worker/work/training/checkpoints.py).
_PARTIAL = ".partial-*"
# The best weights so far; each checkpoint has its own.
_BEST = "best_adapter.safetensors"
# Of another tool that trained: its data, its own checkpoints, its adapter before it became ours.
WORKPLACE: Final = "backend"
# Beside the adapter, and kept with it: TensorBoard's event files.
TENSORBOARD: Final = "tensorboard"


def clear_leftovers(job_folder: Path, state: JobState) -> None:
    """Apply the rule to the folder of a training job, all attempts in it. `state` is what the job ended in."""
    for pattern in (f"*/{_PARTIAL}", f"*/checkpoints/{_PARTIAL}"):
        for half in job_folder.glob(pattern):
            if half.is_dir():
                shutil.rmtree(half, ignore_errors=True)
            else:
                half.unlink(missing_ok=True)
    found = [path for path in job_folder.glob("*/checkpoints/*") if _CHECKPOINT.fullmatch(path.name)]
    newest_first = sorted(found, key=_step, reverse=True)
    for path in newest_first[1:] if state is JobState.FAILED else newest_first:
        shutil.rmtree(path, ignore_errors=True)
    for workplace in job_folder.glob(f"*/{WORKPLACE}"):
        shutil.rmtree(workplace, ignore_errors=True)
    for best in job_folder.glob(f"*/{_BEST}"):
        best.unlink(missing_ok=True)
    for folder in job_folder.glob("*/checkpoints"):
        # One that holds something stays; another worker may have cleared up at the same moment.
        with suppress(OSError):
            folder.rmdir()


def clear_all_leftovers(engine: Engine, storage: Storage) -> None:
    """The same for every training job that ended while nobody was there to clear up after it."""
    folders = {
        int(path.parent.parent.name): path.parent.parent
        for name in ("checkpoints", WORKPLACE)
        for path in storage.root.glob(f"jobs/*/*/{name}")
    }
    if not folders:
        return
    statement = select(Job.id, Job.state).where(
        col(Job.id).in_(folders), Job.kind == JobKind.TRAIN, col(Job.finished_at).is_not(None)
    )
    with reading(engine) as session:
        ended = list(session.exec(statement))
    for job_id, state in ended:
        clear_leftovers(folders[job_id or 0], JobState(state))


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
