"""A gate over a sweep: every run is judged, and one of them has to pass, or all. Never a pass for want of a number."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, StudioError
from app.gates.limits import GateRequest
from app.gates.metrics import read_metrics
from app.gates.schemas import GateOut, Need, SweepGateOut, SweptOut
from app.gates.service import judge
from app.jobs.models import Job
from app.recipes.fields import display
from app.runs.models import Run
from app.runs.sweeps.models import Sweep
from app.runs.sweeps.service import runs_of_sweep
from app.sentences import N_


@dataclass(frozen=True)
class _Judged:
    """A run with its gate, or with what kept it from being judged."""

    run: Run
    job: Job
    gate: GateOut | None = None
    refusal: StudioError | None = None

    @property
    def passed(self) -> bool:
        return self.gate is not None and self.gate.passed

    @property
    def is_open(self) -> bool:
        """Whether it could pass still: one that ended without weights cannot."""
        return self.gate is None and not (self.job.is_final and self.run.adapter_key is None)


def judge_sweep(session: Session, sweep: Sweep, request: GateRequest, need: Need) -> SweepGateOut:
    """Raises Conflict where it hangs on a run that cannot be judged yet, or at all; Invalid for a metric that none of the runs
    has."""
    found = [_judge(session, run, job, request) for run, job in runs_of_sweep(session, sweep)]
    # What the others are held against says nothing of them.
    passed = _passed([one for one in found if one.run.id != request.against] or found, need)
    return SweepGateOut(
        sweep_id=sweep.id or 0,
        sweep=sweep.name,
        judged_at=utc_now(),
        passed=passed,
        need=need,
        best_run_id=_best(session, found),
        runs=[
            SweptOut(
                run_id=one.run.id or 0,
                run=one.run.name,
                values=values_of(sweep, one.run),
                gate=one.gate,
                why=one.refusal.translated() if one.refusal else None,
            )
            for one in found
        ],
    )


def values_of(sweep: Sweep, run: Run) -> dict[str, str]:
    """What the run has otherwise than the others, by field."""
    return {name: display(getattr(run.config, name)) for name in sweep.varied.fields}


def _judge(session: Session, run: Run, job: Job, request: GateRequest) -> _Judged:
    try:
        return _Judged(run, job, gate=judge(session, run, request))
    except (Conflict, Invalid) as error:
        return _Judged(run, job, refusal=error)


def _passed(found: list[_Judged], need: Need) -> bool:
    judged, undecided = [one for one in found if one.gate], [one for one in found if one.is_open]
    if not judged:
        _refuse(undecided or found)
    settled = any(one.passed for one in judged) if need == "any" else _some_did_not(found)
    if undecided and not settled:
        _refuse(undecided)
    return settled if need == "any" else not settled


def _some_did_not(found: list[_Judged]) -> bool:
    return any(not one.passed and not one.is_open for one in found)


def _refuse(found: list[_Judged]) -> None:
    """What keeps the first of them from being judged; a mistake of what was asked is told as such."""
    first = found[0].refusal
    assert first is not None
    if all(isinstance(one.refusal, Invalid) for one in found):
        raise first
    raise Conflict(
        N_("The gate hangs on runs that could not be judged: %(runs)s. %(first)s"),
        runs=", ".join(str(one.run.id) for one in found),
        first=first.translated(),
    )


def _best(session: Session, found: list[_Judged]) -> int | None:
    losses: Mapping[int, float] = {
        one.run.id or 0: metrics["held_out_loss"].value
        for one in found
        if one.passed and "held_out_loss" in (metrics := read_metrics(session, one.run))
    }
    return min(losses, key=lambda run_id: losses[run_id], default=None)
