"""How long a run will take, going by the newest one on the same base model that was trained in the same way. No such run, no figure."""

from dataclasses import dataclass
from itertools import compress, pairwise
from typing import Final

from sqlmodel import Session, col, select

from app.jobs.events import EventKind, Phase, ProgressPayload
from app.jobs.models import Job, JobEvent, JobState
from app.jobs.newest import last_event
from app.recipes.config import TrainingConfig
from app.runs.mixing import epoch_of
from app.runs.models import Run
from app.runs.planning import Plan

# What is known of the past is not known to the second.
_ROUND_TO_SECONDS: Final = 10
# Of the newest runs on the model; how quick something was long before says little.
_LOOKED_THROUGH: Final = 50
# What decides how long a token takes, between some of them many times as long.
_SAME_PACE: Final = ("backend", "method", "use_dora", "gradient_checkpointing", "bf16", "num_processes")
# What changes it less: of the runs in question, one that is alike in more of these tells more. How many samples pass at once is
# how many cores have work.
_NEAR_PACE: Final = ("per_device_train_batch_size", "lora_target_modules", "lora_r", "lora_dropout")


@dataclass(frozen=True)
class Ahead:
    """What a run has before it: `tokens` of all its steps, and how often the held-out loss is measured between two of them."""

    tokens: int
    measurements: int

    @classmethod
    def of(cls, tokens: int, steps: int, config: TrainingConfig, held_out: int) -> "Ahead":
        """Of so many steps; after the last one it is measured anyhow, as before the first, however long the training."""
        return cls(tokens, (steps - 1) // config.eval_steps if held_out else 0)


@dataclass(frozen=True)
class Pace:
    """Expected wall time, start-up and held-out measurements included, and the run it was taken from."""

    seconds: float
    run_id: int


def expected_pace(
    session: Session, base_model_id: int, config: TrainingConfig, ahead: Ahead | None
) -> Pace | None:
    """What the newest uninterrupted run on this model that was trained as `config` says tells of what is ahead.

    What one program or one method takes says nothing of another; loading and saving take what they take, however long the training;
    measurements take time by their number, with the answers that are asked for meanwhile.
    """
    if ahead is None:
        return None
    found = _newest_run(session, base_model_id, config)
    if found is None:
        return None
    run, job = found
    progress = last_event(session, run.job_id, ProgressPayload)
    epoch = progress.get("epoch") if progress else None
    work = float(epoch_of(session, run).tokens or 0) * float(epoch or 0)
    if not work or job.started_at is None or job.finished_at is None:
        return None
    taken = (job.finished_at - job.started_at).total_seconds()
    spent = _spent(session, run.job_id, taken)
    besides = max(0.0, taken - spent.stepping - spent.measured * spent.each)
    seconds = besides + spent.stepping * ahead.tokens / work + spent.each * ahead.measurements
    assert run.id is not None
    return Pace(max(1, round(seconds / _ROUND_TO_SECONDS)) * _ROUND_TO_SECONDS, run.id)


def way_of(config: TrainingConfig) -> tuple[object, ...]:
    """What runs have in common of which one tells how long the other takes."""
    return tuple(getattr(config, name) for name in _SAME_PACE)


def nearness_of(config: TrainingConfig) -> tuple[object, ...]:
    """What makes one of them tell more than another."""
    return tuple(getattr(config, name) for name in _NEAR_PACE)


@dataclass(frozen=True)
class _Spent:
    """Seconds of a run: all its steps, and each of the measurements that lay `measured` times between them."""

    stepping: float
    each: float = 0.0
    measured: int = 0


def _spent(session: Session, job_id: int, taken: float) -> _Spent:
    """By the moments at which the first and the last step were told; where only one was, all that it took was for steps."""
    told = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == EventKind.PROGRESS)
    first = session.exec(told.order_by(col(JobEvent.seq)).limit(1)).first()
    last = session.exec(told.order_by(col(JobEvent.seq).desc()).limit(1)).first()
    if first is None or last is None:
        return _Spent(taken)
    begun, done = int(first.payload["step"]), int(last.payload["step"])
    if done <= begun:
        return _Spent(taken)
    phases = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == EventKind.PHASE)
    measurements = [
        (one, after)
        for one, after in pairwise(session.exec(phases.order_by(col(JobEvent.seq))))
        if one.payload["phase"] == Phase.EVALUATING
    ]
    lasted = [(after.created_at - one.created_at).total_seconds() for one, after in measurements]
    between = [first.seq < one.seq < last.seq for one, _after in measurements]
    measured, each = sum(between), sum(lasted) / len(lasted) if lasted else 0.0
    if measured:
        # Those between steps are the ones there will be more of.
        each = sum(compress(lasted, between)) / measured
    whole = (last.created_at - first.created_at).total_seconds() - measured * each
    return _Spent(max(0.0, whole) * done / (done - begun), each, measured)


def ahead_of(plan: Plan) -> Ahead | None:
    """None where the plan's config or its tokens are not known."""
    if plan.config is None or plan.tokens is None or plan.estimate is None:
        return None
    return Ahead.of(plan.tokens.all, plan.estimate.steps, plan.config, plan.held_out)


def pace_of(session: Session, base_model_id: int, plan: Plan) -> Pace | None:
    """Of a plan: None too where its config or its tokens are not known."""
    return None if plan.config is None else expected_pace(session, base_model_id, plan.config, ahead_of(plan))


def _newest_run(session: Session, base_model_id: int, config: TrainingConfig) -> tuple[Run, Job] | None:
    """Of those that are the most alike."""
    statement = (
        select(Run, Job)
        .join(Job, col(Run.job_id) == Job.id)
        .where(
            Run.base_model_id == base_model_id, col(Job.state) == JobState.SUCCEEDED, col(Job.attempt) == 1
        )
        .order_by(col(Run.id).desc())
        .limit(_LOOKED_THROUGH)
    )
    wanted, near = way_of(config), nearness_of(config)
    found = [(run, job) for run, job in session.exec(statement) if way_of(run.config) == wanted]
    return max(found, key=lambda one: _in_common(nearness_of(one[0].config), near), default=None)


def _in_common(one: tuple[object, ...], other: tuple[object, ...]) -> tuple[bool, ...]:
    """What decides more comes first."""
    return tuple(mine == theirs for mine, theirs in zip(one, other, strict=True))
