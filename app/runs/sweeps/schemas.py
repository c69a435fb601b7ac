"""What REST reads and writes of sweeps."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.jobs.models import JobState
from app.recipes.axes import MOST_RUNS, Axis, make_axis, require_apart
from app.recipes.config import TrainingConfig
from app.runs.pace import Pace
from app.runs.plan_schemas import AskedIn, MemoryOut, StartIn, TakesOut
from app.runs.preflight.schemas import PreflightOut
from app.runs.sweeps.models import Sweep
from app.runs.sweeps.planning import SweepPlan
from app.runs.sweeps.service import NAME_CHARACTERS
from app.runs.sweeps.table import Row, RunSoFar, SweepTable

_Value = bool | int | float | str


class AxisIn(BaseModel):
    """Fields of the config that change together, and their values: one each, or a list with one for each field."""

    model_config = ConfigDict(extra="forbid")

    fields: list[str] = Field(min_length=1, max_length=20)
    values: list[_Value | list[_Value]] = Field(min_length=1, max_length=MOST_RUNS)

    def axis(self) -> Axis:
        """As it is judged. Raises Invalid naming the field."""
        steps = [tuple(value) if isinstance(value, list) else (value,) for value in self.values]
        return make_axis(tuple(self.fields), steps)


class _Axes(BaseModel):
    axes: list[AxisIn] = Field(
        min_length=1, max_length=20, description="What differs: every combination is a run, at most 24."
    )

    def varied(self, changes: Mapping[str, object]) -> tuple[Axis, ...]:
        """The axes, beside the `changes` that all runs have. Raises Invalid for a field that is both."""
        axes = tuple(one.axis() for one in self.axes)
        require_apart(changes, axes)
        return axes


class SweepIn(StartIn, _Axes):
    """Start a sweep. `mask_check_id` names version, model and mask settings of all its runs; recipe and changes are what their
    configs have in common."""

    name: str = Field(default="", max_length=NAME_CHARACTERS)


class SweepPlanIn(AskedIn, _Axes):
    """What would be started."""

    mask_check_id: int
    # As at the start, for the pre-flight alone; null: nobody is asked yet.
    confirmed: bool | None = None


class SweepNameIn(BaseModel):
    """The new name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=NAME_CHARACTERS)


class SweepMemberPlanOut(PreflightOut):
    """A run as it would be, and what stands against its start: `values` by field that differs, as one would type them."""

    values: str
    config: TrainingConfig
    steps: int | None
    disk_bytes: int | None


class SweepPlanOut(TakesOut):
    """All runs together, one after the other. `disk_bytes` are checkpoints and adapters, were all there at once; `memory` is that
    of the run that needs most. A warning that is accepted is accepted for all.
    """

    runs: list[SweepMemberPlanOut]

    @classmethod
    def of(cls, plan: SweepPlan, pace: Pace | None, looks: Sequence[PreflightOut]) -> "SweepPlanOut":
        """From a plan without errors, and the pre-flight of each of its runs."""
        memory = plan.memory
        return cls(
            runs=[
                SweepMemberPlanOut(
                    **vars(look),
                    values=member.said,
                    config=member.plan.config,
                    steps=member.plan.estimate.steps if member.plan.estimate else None,
                    disk_bytes=member.plan.disk,
                )
                for member, look in zip(plan.members, looks, strict=True)
                if member.plan.config is not None
            ],
            may_start=all(look.may_start for look in looks),
            steps=plan.steps,
            seconds=plan.seconds,
            as_run=pace.run_id if pace else None,
            disk_bytes=plan.disk,
            memory=MemoryOut.of(memory) if memory else None,
        )


class SweepRunOut(BaseModel, RunSoFar):
    """A run of the sweep: its values by field, as one would type them, the names of the warnings that were accepted for it, and what
    came of it. Losses in nats a trained token.
    """

    run_id: int
    state: JobState
    status: str
    error: str | None
    verdict: str | None
    accepted: list[str]

    @classmethod
    def of(cls, row: Row) -> "SweepRunOut":
        """In the reader's language."""
        same = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        verdict = row.verdict.word if row.verdict else None
        told = {
            "state": row.job.state,
            "status": row.job.status,
            "error": row.job.error_text,
            "verdict": verdict,
            "accepted": row.run.preflight.names if row.run.preflight else [],
        }
        return cls(**{**same, **told})


class SweepFailureOut(BaseModel):
    """Why runs failed, and how many of them."""

    reason: str
    runs: int


class SweepOut(CreatedByOut):
    """A group of runs. `best_run_id` has the lowest held-out loss; null before one was measured."""

    id: int
    name: str
    mask_check_id: int
    axes: list[Axis]
    created_at: datetime
    is_over: bool
    best_run_id: int | None
    failures: list[SweepFailureOut]
    runs: list[SweepRunOut]

    @classmethod
    def of(cls, sweep: Sweep, table: SweepTable) -> "SweepOut":
        """As it is now."""
        kept = ("id", "name", "mask_check_id", "created_at", *CreatedByOut.model_fields)
        return cls(
            **{name: getattr(sweep, name) for name in kept},
            axes=list(sweep.varied.axes),
            is_over=table.is_over,
            best_run_id=table.best.run_id if table.best else None,
            failures=[SweepFailureOut(reason=reason, runs=count) for reason, count in table.failures],
            runs=[SweepRunOut.of(row) for row in table.rows],
        )
