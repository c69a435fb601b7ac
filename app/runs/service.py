"""Rules of runs: what may start, exactly once, and what is published when training ends."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import ColumnElement, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.base_models.models import ModelEntry
from app.base_models.service import require_ready
from app.core.errors import Conflict, Invalid, NotFound
from app.core.names import visible_name
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.interop.launching import Launch
from app.jobs.devices import ANY
from app.jobs.models import Job, JobKind
from app.jobs.service import enqueue_with, require_job
from app.jobs.workers import require_wish
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import require_mask_check
from app.recipes.config import TrainingConfig
from app.recipes.own import read_book
from app.runs.backends import NO_BACKENDS, Backends, fit_to_backend, launch_of, with_kept
from app.runs.beginning import Beginning
from app.runs.changes import Base, base_of
from app.runs.fitting import Fitted, fit_config
from app.runs.further import read_further, require_studio
from app.runs.mixing import Beside, columns_of_mix, read_beside
from app.runs.models import Run
from app.runs.once import fingerprint, require_same_run
from app.runs.placing import placed
from app.runs.planning import Choice, plan_of
from app.runs.preflight.checklist import preflight
from app.runs.preflight.data import check_refusal, red_without_reason, unconfirmed
from app.runs.preflight.documents import PreflightRecord
from app.runs.preflight.facts import UNSEEN, Facts, Ground
from app.runs.preflight.gate import settle
from app.runs.preflight.items import Item
from app.runs.preflight.model import length_refusal
from app.runs.work import TrainPayload
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.service import require_version


@dataclass(frozen=True)
class RunRequest:
    """What a person or a script asks for. `mask_check_id` names version, model and mask settings at once, `mix_check_id` the
    version that is mixed in.
    """

    mask_check_id: int
    recipe: str = "standard"
    # Of the recipe's config, as typed or sent.
    changes: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    # "I have looked at the mask check", or at both.
    confirmed: bool = False
    # Why a red check is trained on all the same; stays on the run for ever.
    override_reason: str = ""
    evaluate_with: tuple[str, ...] = ()
    idempotency_key: str = ""
    # Names of the pre-flight's warnings that whoever asks has looked at.
    accepted_warnings: tuple[str, ...] = ()
    # What was accepted of the run that goes on, or is made again: it holds where the evidence is the same.
    accepted_before: PreflightRecord | None = None
    # Where it may be trained: any, cpu, cuda or one GPU.
    device: str = ANY
    # In place of recipe and changes: the config of a run that is made again, and that run.
    exactly: TrainingConfig | None = None
    # The run whose adapter this one begins with.
    init_adapter: int | None = None
    # What the run begins from otherwise, where that is not its base model.
    begins: Beginning | None = None
    again_of: Run | None = None
    mix_check_id: int | None = None
    # The group that it is one of.
    sweep_id: int | None = None


def start_run(
    session: Session,
    actor: Actor,
    request: RunRequest,
    *,
    suites: Collection[str] = (),
    backends: Backends = NO_BACKENDS,
    ground: Ground = UNSEEN,
) -> tuple[Run, bool]:
    """Promise the training. The same request again under its idempotency key gives the first run and False; KeyTaken is raised
    for another request under it.

    `suites` are the names that `evaluate_with` may hold, `backends` what else can train here, `ground` what is so on this machine
    now. Raises Invalid or Conflict for an unfinished or red check, a missing confirmation, a bad config, an unknown suite, a device
    that no worker has, and for what else the pre-flight has against it: errors, and warnings that are not accepted by name.
    """
    key = request.idempotency_key.strip()[:80] or secrets.token_urlsafe(16)
    existing = _run_of_key(session, key)
    if existing:
        require_same_run(existing.asked_hash, request, existing.id or 0)
        return existing, False
    try:
        with session.begin_nested():
            return _promise(session, actor, request, key, suites, backends, ground), True
    except IntegrityError:
        # The other half of a double click was faster.
        existing = _run_of_key(session, key)
        if existing is None:
            raise
        require_same_run(existing.asked_hash, request, existing.id or 0)
        return existing, False


def _run_of_key(session: Session, key: str) -> Run | None:
    return session.exec(select(Run).where(Run.idempotency_key == key)).first()


def _require_suites(request: RunRequest, suites: Collection[str]) -> None:
    for name in request.evaluate_with:
        if name not in suites:
            raise Invalid(
                N_("There is no suite “%(name)s”. Use one of: %(names)s."),
                field="evaluate_with",
                name=name,
                names=", ".join(sorted(suites)),
            )


def look_before(
    session: Session,
    actor: Actor,
    request: RunRequest,
    *,
    suites: Collection[str] = (),
    backends: Backends = NO_BACKENDS,
    ground: Ground = UNSEEN,
) -> list[Item]:
    """The pre-flight of what `start_run` would promise. Raises as that does for what has no place in the list."""
    return preflight(_prepare(session, actor, request, suites, backends, ground).facts)


@dataclass(frozen=True)
class _Prepared:
    """A request that was looked up and fitted. `override` is the reason why a red check is trained on."""

    request: RunRequest
    base: Base
    facts: Facts
    config: TrainingConfig
    override: str | None
    device: str
    launch: Launch | None


def _prepare(
    session: Session,
    actor: Actor,
    request: RunRequest,
    suites: Collection[str],
    backends: Backends,
    ground: Ground,
) -> _Prepared:
    _require_suites(request, suites)
    check = require_mask_check(session, request.mask_check_id)
    check_job = require_job(session, check.job_id)
    override = _require_allowed(check, check_job, request)
    version = require_version(session, check.dataset_version_id)
    model, _folder = require_ready(session, check.base_model_id)
    _require_room(check, model)
    beside, also = _mixed_in(session, check, request, model)
    base = _base(session, actor, request)
    device = require_wish(session, request.device)
    backends = placed(session, backends, device)
    backends = with_kept(backends, request.again_of.launch if request.again_of else None)
    ground = ground.on(session, device)
    request = _with_adapter(session, request, base, model)
    fitted = _fitted(request, base, version, model, backends)
    if request.begins:
        require_studio(fitted.config)
    choice = Choice(base.name, request.changes)
    plan = plan_of(fitted, choice, version, check, model.info, ground.device, beside)
    facts = Facts(
        version,
        model,
        check,
        check_job,
        plan,
        ground,
        suites=request.evaluate_with,
        confirmed=True,
        override_reason=request.override_reason,
        beside=beside,
    )
    launch = launch_of(fitted.config, backends)
    return _Prepared(request, base, facts, fitted.config, also or override, device, launch)


def _promise(
    session: Session,
    actor: Actor,
    request: RunRequest,
    key: str,
    suites: Collection[str],
    backends: Backends,
    ground: Ground,
) -> Run:
    told = fingerprint(request)
    found = _prepare(session, actor, request, suites, backends, ground)
    request, facts, check = found.request, found.facts, found.facts.check
    assert check is not None
    items, reason, again = preflight(facts), request.override_reason, request.again_of
    looked_at = settle(items, request.accepted_warnings, actor.who, reason, request.accepted_before)
    name = visible_name(request.name)[:120] or _default_name(
        session, facts.version, facts.model, found.base.name
    )
    run, _ = enqueue_with(
        session,
        JobKind.TRAIN,
        lambda job_id: Run(
            name=name,
            dataset_version_id=check.dataset_version_id,
            base_model_id=check.base_model_id,
            mask_check_id=request.mask_check_id,
            **found.base.columns(),
            sweep_id=request.sweep_id,
            config=found.config,
            arrays_hash=check.arrays_hash or "",
            **columns_of_mix(facts.beside.check if facts.beside else None),
            **actor.who.columns("confirmed_by"),
            override_reason=found.override,
            preflight=looked_at,
            idempotency_key=key,
            asked_hash=told,
            job_id=job_id,
            evaluate_with=list(dict.fromkeys(request.evaluate_with)),
            launch=found.launch,
            pieces=again.result.pieces if again and again.result else None,
            begins=request.begins,
            parent_run_id=request.begins.run_id if request.begins else None,
            **actor.who.columns(),
        ),
        lambda run_id: TrainPayload(run_id=run_id),
        created_by=actor.who,
        device=found.device,
    )
    record(session, actor, "run.override" if found.override else "run.start", f"run/{run.id}")
    return run


def _mixed_in(
    session: Session, check: MaskCheck, request: RunRequest, model: ModelEntry
) -> tuple[Beside | None, str | None]:
    """What is mixed in, and the override's reason if its check needs one. Raises as the first check does."""
    beside = read_beside(session, check, request.mix_check_id)
    if beside is None or beside.check is None or beside.job is None:
        return None, None
    override = _require_allowed(beside.check, beside.job, request)
    _require_room(beside.check, model)
    return beside, override


def _require_room(check: MaskCheck, model: ModelEntry) -> None:
    """Raises what refuses samples that are longer than the model reads."""
    too_long = length_refusal(check.report, model)
    if too_long is not None:
        raise too_long


def _base(session: Session, actor: Actor, request: RunRequest) -> Base:
    """The recipe that the request names, as who asks may; of a run that is made again, that run's."""
    if request.again_of is not None:
        return base_of(request.again_of)
    return Base.of(read_book(session, actor).require(request.recipe))


def _with_adapter(session: Session, request: RunRequest, base: Base, model: ModelEntry) -> RunRequest:
    """The request with what it takes over from the adapter that it begins with. Raises Invalid where that does not fit."""
    if request.init_adapter is None:
        return request
    further = read_further(session, request.init_adapter, model.id or 0)
    return replace(request, begins=further.begins, changes=further.changes(base.recipe(), request.changes))


def _fitted(
    request: RunRequest, base: Base, version: DatasetVersion, model: ModelEntry, backends: Backends
) -> Fitted:
    if request.exactly is None:
        return fit_config(base.recipe(), request.changes, version, model.info, backends)
    # Nothing of it changes; the program that it names has to be here still.
    asked = request.exactly.to_json()
    return Fitted(fit_to_backend(request.exactly, asked, model.info.end_of_turn_id, backends)[0])


def _require_allowed(check: MaskCheck, job: Job, request: RunRequest) -> str | None:
    """The override's reason if one is needed. Raises when the check does not allow a start."""
    refusal = check_refusal(check, job)
    if refusal is not None:
        raise refusal
    if not request.confirmed:
        raise unconfirmed()
    if check.passed:
        return None
    reason = request.override_reason.strip()[:1000]
    if not reason:
        raise red_without_reason()
    return reason


def _default_name(session: Session, version: DatasetVersion, model: ModelEntry, recipe: str) -> str:
    dataset = session.get_one(Dataset, version.dataset_id)
    return f"{dataset.name} v{version.number} · {model.name} · {recipe}"[:120]


def require_run(session: Session, run_id: int) -> Run:
    """The run, or NotFound."""
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(N_("There is no run %(id)d."), id=run_id)
    return run


def require_run_of(session: Session, job: Job) -> Run:
    """The run that is this job, or NotFound."""
    run = session.exec(select(Run).where(Run.job_id == job.id)).first()
    if run is None:
        raise NotFound(N_("Job %(id)d is no run."), id=job.id)
    return run


def run_job(session: Session, run: Run) -> Job:
    """The job that carries the run's state."""
    return require_job(session, run.job_id)


def list_runs(
    session: Session, *, offset: int = 0, limit: int = 50, version_id: int | None = None
) -> list[tuple[Run, Job]]:
    """Runs with their jobs, newest first, all or those on a dataset version (one query)."""
    statement = (
        select(Run, Job)
        .join(Job, col(Run.job_id) == col(Job.id))
        .order_by(col(Run.id).desc())
        .offset(offset)
        .limit(limit)
    )
    if version_id is not None:
        statement = statement.where(trains_on([version_id]))
    return [(run, job) for run, job in session.exec(statement)]


def runs_of_check(session: Session, mask_check_id: int) -> list[Run]:
    """Who started on this check, newest first."""
    of_check = or_(col(Run.mask_check_id) == mask_check_id, col(Run.mix_check_id) == mask_check_id)
    statement = select(Run).where(of_check)
    return list(session.exec(statement.order_by(col(Run.id).desc())))


def trains_on(version_ids: Sequence[int]) -> ColumnElement[bool]:
    """Runs on one of these versions, or with one of them mixed in."""
    return or_(col(Run.dataset_version_id).in_(version_ids), col(Run.mix_version_id).in_(version_ids))


def count_runs(session: Session, *, version_id: int | None = None) -> int:
    """All runs, or those on a dataset version."""
    statement = select(func.count()).select_from(Run)
    if version_id is not None:
        statement = statement.where(trains_on([version_id]))
    return session.exec(statement).one()


def adapter_path(storage: Storage, run: Run) -> Path:
    """Folder of the trained adapter. Raises Conflict before there is one."""
    if run.adapter_key is None:
        raise Conflict(
            N_("The run “%(name)s” has no adapter: it has not finished successfully."), name=run.name
        )
    return storage.path(run.adapter_key)
