"""The checkpoints of a run as people see them: where each stands, how good it is, what it takes, whether it is still there."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final, Protocol

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.errors import Conflict, NotFound
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.jobs.events import ProgressPayload
from app.jobs.models import Job
from app.jobs.newest import last_event
from app.recipes.backend import STUDIO
from app.runs.checkpoint_files import best_of, checkpoint_folders
from app.runs.losses import read_losses
from app.runs.models import Run
from app.runs.service import run_job
from app.sentences import N_, Sentence

_BY_LIMIT: Final = N_("Made room for newer ones: save_total_limit is %(limit)d.")
_BY_CHOICE: Final = N_("Removed when the run ended: keep_checkpoints is %(choice)s.")
_BEST_NOT_KEPT: Final = N_(
    "The lowest held-out loss, %(loss).4f, was measured after step %(step)d, of which no checkpoint is kept. The best one that is kept is "
    "of step %(kept)d, with %(kept_loss).4f."
)
_NONE_MEASURED: Final = N_(
    "The lowest held-out loss, %(loss).4f, was measured after step %(step)d, of which no checkpoint is kept; at those that are kept "
    "nothing was measured."
)
_BY_HAND: Final = N_("Removed by a person, or gone from the disk.")
_STILL_RUNNING: Final = N_(
    "The run has not ended. Let it end, or stop it, before something begins from its checkpoints."
)
_NONE_HERE: Final = N_("There is no checkpoint of step %(step)d on the disk any more. There are: %(steps)s.")
_NEEDED: Final = N_(
    "Run %(id)d begins from these checkpoints and has not ended. Let it end, or cancel it, first."
)


@dataclass(frozen=True)
class Told:
    """What the record says of a checkpoint: its step, passes over the data by then, the held-out loss there, and whether that is the
    lowest that the run measured after some training."""

    step: int
    epoch: float | None
    eval_loss: float | None
    is_best_of_run: bool


@dataclass(frozen=True)
class CheckpointLine(Told):
    """A checkpoint that was written. `size_bytes` is None for one that is gone, and `gone` says why. `is_best` of those that are
    there, which `is_best_of_run` need not be: measured and saved is at steps of their own.
    """

    is_best: bool
    size_bytes: int | None
    gone: Sentence | None


def told_checkpoints(session: Session, run: Run) -> list[Told]:
    """Every one that was written, by step; none of what another program trained, whose own are no use here."""
    if run.config.backend != STUDIO:
        return []
    found = read_losses(session, run_job(session, run))
    progress = last_event(session, run.job_id, ProgressPayload)
    losses = {point.step: point.loss for point in found.evals}
    lowest = found.best[0] if found.best else -inf
    passes = (progress.get("epoch") or 0) / max(1, progress["step"]) if progress else None
    return [
        Told(
            step,
            round(step * passes, 2) if passes else None,
            loss := losses.get(step),
            loss is not None and loss <= lowest,
        )
        for step in found.checkpoints
    ]


def lines_of(storage: Storage, run: Run, job: Job, told: Sequence[Told]) -> list[CheckpointLine]:
    """The same with what lies on the disk, which is looked at: no connection may be held."""
    found = {path.step: path.folder for path in checkpoint_folders(storage.path(f"jobs/{job.id}"))}
    losses = {one.step: one.eval_loss for one in told if one.eval_loss is not None}
    best = best_of(losses)
    best_here = best_of({step: loss for step, loss in losses.items() if step in found})
    return [
        CheckpointLine(
            one.step,
            one.epoch,
            one.eval_loss,
            one.is_best_of_run,
            one.step == best_here,
            _size(found[one.step]) if one.step in found else None,
            None if one.step in found else _why_gone(run, job, one.step, told, best),
        )
        for one in told
    ]


class Listed(Protocol):
    """A checkpoint as it is listed, here or by REST."""

    @property
    def step(self) -> int: ...
    @property
    def eval_loss(self) -> float | None: ...
    @property
    def is_best(self) -> bool: ...
    @property
    def size_bytes(self) -> int | None: ...


def best_not_kept(best: tuple[float, int] | None, lines: Iterable[Listed]) -> Sentence | None:
    """That the best of a run, its lowest held-out loss and the step of that, is none of the checkpoints that are there; None where it is,
    where nothing was measured, or where none is there.
    """
    kept = [line for line in lines if line.size_bytes is not None]
    if best is None or not kept or any(_is_as_good(line, best) for line in kept):
        return None
    loss, step = best
    for line in kept:
        if line.is_best:
            return Sentence.of(_BEST_NOT_KEPT, loss=loss, step=step, kept=line.step, kept_loss=line.eval_loss)
    return Sentence.of(_NONE_MEASURED, loss=loss, step=step)


def _is_as_good(line: Listed, best: tuple[float, int]) -> bool:
    return line.step == best[1] or (line.eval_loss is not None and line.eval_loss <= best[0])


def _why_gone(run: Run, job: Job, step: int, told: Sequence[Told], best: int | None) -> Sentence:
    config = run.config
    newest = [one.step for one in told][-config.save_total_limit :]
    if step not in newest and step != best:
        return Sentence.of(_BY_LIMIT, limit=config.save_total_limit)
    staying = {"none": set[int | None](), "all": {*newest, best}, "best_and_last": {newest[-1], best}}
    if job.is_final and step not in staying[config.keep_checkpoints]:
        return Sentence.of(_BY_CHOICE, choice=config.keep_checkpoints)
    return Sentence.of(_BY_HAND)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def checkpoint_folder(storage: Storage, job_id: int, step: int) -> Path:
    """Where it lies. Raises NotFound naming those that there are."""
    found = {one.step: one.folder for one in checkpoint_folders(storage.path(f"jobs/{job_id}"))}
    if step not in found:
        steps = ", ".join(str(one) for one in sorted(found)) or "–"
        raise NotFound(_NONE_HERE, field="step", step=step, steps=steps)
    return found[step]


def require_over(job: Job) -> None:
    """Raises Conflict while a worker may write, or clear, what is asked for."""
    if not job.is_final:
        raise Conflict(_STILL_RUNNING)


def remove_checkpoints(session: Session, storage: Storage, actor: Actor, run: Run) -> None:
    """Free what they take. Raises Conflict while the run, or one that begins from them, is under way."""
    job = run_job(session, run)
    require_over(job)
    children = select(Run, Job).join(Job, col(Run.job_id) == Job.id).where(Run.parent_run_id == run.id)
    for child, its_job in session.exec(children):
        if not its_job.is_final:
            raise Conflict(_NEEDED, id=child.id)
    record(session, actor, "run.remove_checkpoints", f"run/{run.id}")
    folder = storage.path(f"jobs/{job.id}")
    after_commit(session, lambda: _remove(folder))


def _remove(job_folder: Path) -> None:
    for one in checkpoint_folders(job_folder):
        shutil.rmtree(one.folder, ignore_errors=True)
