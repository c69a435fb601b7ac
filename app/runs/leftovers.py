"""Which of a run's working files stay once it has ended, however it ended: the checkpoints that its config keeps.

Halves of files that a killed process left stay nowhere.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import col, select

from app.core.database import reading
from app.core.errors import Conflict
from app.core.storage import Storage
from app.jobs.models import Job, JobKind
from app.jobs.record import RECORD
from app.recipes.config import TrainingConfig
from app.recipes.watching import KeepCheckpoints
from app.runs.checkpoint_files import checkpoint_folders, kept_steps
from app.runs.folder_names import WORKPLACE

# What is being written bears this until it is whole (worker/work/training/checkpoints.py).
_PARTIAL = ".partial-*"
# The best weights so far; each checkpoint has its own.
_BEST = "best_adapter.safetensors"


def clear_leftovers(job_folder: Path) -> None:
    """Apply the rule to the folder of a training job that has ended, all attempts in it."""
    for pattern in (f"*/{_PARTIAL}", f"*/checkpoints/{_PARTIAL}"):
        for half in job_folder.glob(pattern):
            if half.is_dir():
                shutil.rmtree(half, ignore_errors=True)
            else:
                half.unlink(missing_ok=True)
    found = checkpoint_folders(job_folder)
    staying = {one.folder for one in found if one.step in kept_steps(found, _choice(job_folder))}
    for path in job_folder.glob("*/checkpoints/*"):
        if path not in staying:
            shutil.rmtree(path, ignore_errors=True)
    for workplace in job_folder.glob(f"*/{WORKPLACE}"):
        shutil.rmtree(workplace, ignore_errors=True)
    for name in (_BEST, RECORD):
        for path in job_folder.glob(f"*/{name}"):
            path.unlink(missing_ok=True)
    for folder in job_folder.glob("*/checkpoints"):
        # One that holds something stays; another worker may have cleared up at the same moment.
        with suppress(OSError):
            folder.rmdir()


def clear_all_leftovers(engine: Engine, storage: Storage) -> None:
    """The same for every training job that ended while nobody was there to clear up after it."""
    folders = {
        int(path.parent.parent.name): path.parent.parent
        for name in ("checkpoints", WORKPLACE, RECORD)
        for path in storage.root.glob(f"jobs/*/*/{name}")
    }
    if not folders:
        return
    statement = select(Job.id).where(
        col(Job.id).in_(folders), Job.kind == JobKind.TRAIN, col(Job.finished_at).is_not(None)
    )
    with reading(engine) as session:
        ended = list(session.exec(statement))
    for job_id in ended:
        clear_leftovers(folders[job_id or 0])


def _choice(job_folder: Path) -> KeepCheckpoints:
    """As the newest attempt was told it; what cannot be read anew is kept as if nothing had been said."""
    newest = max((path for path in job_folder.glob("*/job.json")), key=_attempt, default=None)
    try:
        told = json.loads(newest.read_text("utf-8"))["input"]["config"] if newest else {}
        return TrainingConfig.stored(told).keep_checkpoints
    except (OSError, ValueError, LookupError, TypeError, Conflict):
        return TrainingConfig().keep_checkpoints


def _attempt(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdigit() else -1
