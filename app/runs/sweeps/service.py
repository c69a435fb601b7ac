"""Rules of sweeps: all of its runs start, or none does, exactly once; each goes its own way from there."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.core.errors import Conflict, Invalid, NotFound
from app.core.names import visible_name
from app.core.storage import Storage
from app.jobs.models import Job, JobState, StopRequest
from app.mask_checks.service import require_mask_check
from app.recipes.axes import Axis, combinations
from app.runs.backends import NO_BACKENDS, Backends
from app.runs.models import Run
from app.runs.once import fingerprint, require_same_sweep
from app.runs.preflight.facts import UNSEEN, Ground
from app.runs.preflight.gate import refuse
from app.runs.service import RunRequest, look_before, start_run
from app.runs.stopping import stop_run
from app.runs.sweeps.models import Sweep, Varied
from app.runs.sweeps.planning import said_values
from app.sentences import N_

NAME_CHARACTERS: Final = 120
_ONE: Final = N_(
    "A sweep is two runs at least: give one of the settings several values, such as learning_rate 2e-5, 5e-5."
)
_SAME: Final = N_("Two of the runs would be the same: %(values)s. Name each value once.")
_NONE_WAITS: Final = N_("None of these runs waits any more.")
_ALL_ENDED: Final = N_("All of these runs have ended.")
# `cancel` drops what was learned, `save` keeps it as a model.
HowToStop = Literal["save", "cancel"]


@dataclass(frozen=True)
class SweepRequest:
    """What is asked for: `run` is what the runs have in common, `axes` what differs."""

    run: RunRequest
    axes: tuple[Axis, ...] = field(default_factory=tuple)
    name: str = ""


def start_sweep(
    session: Session,
    actor: Actor,
    request: SweepRequest,
    *,
    suites: Collection[str] = (),
    backends: Backends = NO_BACKENDS,
    ground: Ground = UNSEEN,
) -> tuple[Sweep, bool]:
    """Promise all runs. The same request again under its idempotency key gives the first sweep and False; KeyTaken is raised for
    another request under it.

    Raises Invalid for one run or too many, and as start_run: then none of them starts. Warnings of all runs are told together, and
    what is accepted of them is accepted once for all.
    """
    key = request.run.idempotency_key.strip()[:80] or secrets.token_urlsafe(16)
    existing = _sweep_of_key(session, key)
    if existing:
        require_same_sweep(existing.asked_hash, request.run, request.axes, existing.id or 0)
        return existing, False
    found = combinations(list(request.axes))
    if len(found) < 2:
        raise Invalid(_ONE, field="axes")
    try:
        with session.begin_nested():
            return _promise(session, actor, request, key, found, suites, backends, ground), True
    except IntegrityError:
        # The other half of a double click was faster.
        existing = _sweep_of_key(session, key)
        if existing is None:
            raise
        require_same_sweep(existing.asked_hash, request.run, request.axes, existing.id or 0)
        return existing, False


def _sweep_of_key(session: Session, key: str) -> Sweep | None:
    return session.exec(select(Sweep).where(Sweep.idempotency_key == key)).first()


def _promise(
    session: Session,
    actor: Actor,
    request: SweepRequest,
    key: str,
    found: list[Mapping[str, object]],
    suites: Collection[str],
    backends: Backends,
    ground: Ground,
) -> Sweep:
    require_mask_check(session, request.run.mask_check_id)
    _look_at_all(session, actor, request, found, suites, backends, ground)
    sweep = Sweep(
        name=visible_name(request.name)[:NAME_CHARACTERS] or _default_name(request),
        mask_check_id=request.run.mask_check_id,
        varied=Varied(axes=request.axes),
        idempotency_key=key,
        asked_hash=fingerprint(request.run, request.axes),
        **actor.who.columns(),
    )
    session.add(sweep)
    session.flush()
    configs: dict[str, Mapping[str, object]] = {}
    for changes in found:
        run = _start(session, actor, request, sweep, changes, suites, backends, ground)
        if configs.setdefault(run.config.model_dump_json(), changes) is not changes:
            raise Invalid(_SAME, field=request.axes[0].fields[0], values=said_values(changes))
    record(session, actor, "sweep.start", f"sweep/{sweep.id}")
    session.flush()
    return sweep


def _look_at_all(
    session: Session,
    actor: Actor,
    request: SweepRequest,
    found: list[Mapping[str, object]],
    suites: Collection[str],
    backends: Backends,
    ground: Ground,
) -> None:
    """Raises what the pre-flight has against any of the runs."""
    items = [
        item
        for changes in found
        for item in look_before(
            session, actor, _with(request, changes), suites=suites, backends=backends, ground=ground
        )
    ]
    refuse(items, request.run.accepted_warnings, request.run.override_reason)


def _with(request: SweepRequest, changes: Mapping[str, object]) -> RunRequest:
    return replace(request.run, changes={**request.run.changes, **changes})


def _start(
    session: Session,
    actor: Actor,
    request: SweepRequest,
    sweep: Sweep,
    changes: Mapping[str, object],
    suites: Collection[str],
    backends: Backends,
    ground: Ground,
) -> Run:
    said = said_values(changes)
    name = f"{request.name.strip()[: NAME_CHARACTERS - 1 - len(said)]} {said}".strip()[:NAME_CHARACTERS]
    one = replace(
        _with(request, changes),
        name=name,
        # Of its own: the sweep's key finds the sweep.
        idempotency_key="",
        sweep_id=sweep.id,
    )
    return start_run(session, actor, one, suites=suites, backends=backends, ground=ground)[0]


def _default_name(request: SweepRequest) -> str:
    varied = " × ".join(f"{axis.name} ({len(axis.values)})" for axis in request.axes)
    return f"{request.run.recipe} · {varied}"[:NAME_CHARACTERS]


def require_sweep(session: Session, sweep_id: int) -> Sweep:
    """The sweep, or NotFound."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        raise NotFound(N_("There is no sweep %(id)d."), id=sweep_id)
    return sweep


def list_sweeps(session: Session, *, offset: int = 0, limit: int = 50) -> list[Sweep]:
    """Newest first."""
    return list(session.exec(select(Sweep).order_by(col(Sweep.id).desc()).offset(offset).limit(limit)))


def count_sweeps(session: Session) -> int:
    """All of them."""
    return session.exec(select(func.count()).select_from(Sweep)).one()


def runs_of_sweep(session: Session, sweep: Sweep) -> list[tuple[Run, Job]]:
    """Its runs with their jobs, in the order of their values."""
    statement = select(Run, Job).join(Job, col(Run.job_id) == col(Job.id)).where(Run.sweep_id == sweep.id)
    return [(run, job) for run, job in session.exec(statement.order_by(col(Run.id)))]


def rename_sweep(session: Session, actor: Actor, sweep: Sweep, name: str) -> None:
    """Raises Invalid for an empty or long name, and one that holds what nobody sees."""
    name = visible_name(name)
    if not name or len(name) > NAME_CHARACTERS:
        raise Invalid(N_("Enter a name of 1 to %(limit)d characters."), field="name", limit=NAME_CHARACTERS)
    sweep.name = name
    session.add(sweep)
    record(session, actor, "sweep.rename", f"sweep/{sweep.id}")


def stop_sweep(session: Session, storage: Storage, actor: Actor, sweep: Sweep, how: HowToStop | None) -> int:
    """Cancel the runs that wait; with `how`, end those under way and paused ones as well. Gives how many were asked to end.

    Raises Conflict where none is left.
    """
    asked = sum(
        _stop(session, storage, actor, run, job, how)
        for run, job in runs_of_sweep(session, sweep)
        if (not job.is_final if how else job.state is JobState.QUEUED and job.stop_requested is None)
    )
    if not asked:
        raise Conflict(_NONE_WAITS if how is None else _ALL_ENDED)
    record(session, actor, "sweep.stop", f"sweep/{sweep.id}")
    return asked


def _stop(
    session: Session, storage: Storage, actor: Actor, run: Run, job: Job, how: HowToStop | None
) -> bool:
    try:
        stop_run(session, storage, actor, run, StopRequest(how or "cancel"))
    except Conflict:
        session.refresh(job)
        if job.is_final:
            return False  # it has ended meanwhile
        # Paused before its first step: there is nothing to keep.
        stop_run(session, storage, actor, run, StopRequest.CANCEL)
    return True
