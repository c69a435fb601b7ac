"""REST for sweeps."""

from dataclasses import replace
from typing import Annotated

from fastapi import Header, Query, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.base_models.service import require_ready
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.jobs.service import require_job
from app.jobs.workers import require_wish
from app.mask_checks.service import require_mask_check
from app.recipes.axes import combinations
from app.recipes.own import AppRecipes
from app.runs.backends import TheseBackends
from app.runs.fitting import fit_config
from app.runs.further import read_further
from app.runs.judging import AppJudging
from app.runs.mixing import read_beside
from app.runs.placing import placed
from app.runs.planning import Choice, Plan
from app.runs.preflight.checklist import preflight
from app.runs.preflight.facts import Facts
from app.runs.preflight.ground import TheseSurroundings
from app.runs.preflight.schemas import PreflightOut
from app.runs.sweeps import service
from app.runs.sweeps.planning import plan_sweep, with_pace
from app.runs.sweeps.schemas import SweepIn, SweepNameIn, SweepOut, SweepPlanIn, SweepPlanOut
from app.runs.sweeps.table import read_table
from app.versions.service import require_version

router = Router(prefix="/api/v1/sweeps", tags=["runs"])


@router.get("")
@needs(Permission.RUN_READ)
def list_sweeps(
    session: Db,
    judging: AppJudging,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> list[SweepOut]:
    """Sweeps, newest first, each with its runs."""
    found = service.list_sweeps(session, offset=offset, limit=limit)
    return [SweepOut.of(sweep, read_table(session, judging, sweep)) for sweep in found]


@router.post("", status_code=201)
@needs(Permission.RUN_START)
def start_sweep(
    session: Db,
    actor: CurrentActor,
    judging: AppJudging,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    response: Response,
    body: SweepIn,
    idempotency_key: Annotated[str, Header(max_length=80)] = "",
) -> SweepOut:
    """Start a run for every combination: all of them, or none. Send an `Idempotency-Key`: the same key again answers 200 with the
    first sweep."""
    common = body.request(idempotency_key)
    ground = surroundings.ground_of_checks(body.mask_check_id, body.mix_check_id)
    request = service.SweepRequest(common, body.varied(body.changes), body.name)
    suites = [suite.name for suite in judging.suites()]
    sweep, created = service.start_sweep(
        session, actor, request, suites=suites, backends=backends, ground=ground
    )
    if not created:
        response.status_code = 200
    return SweepOut.of(sweep, read_table(session, judging, sweep))


@router.post("/plan")
@needs(Permission.RUN_READ)
def plan(
    session: Db,
    book: AppRecipes,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    body: SweepPlanIn,
) -> SweepPlanOut:
    """What the runs would be and take together, and what stands against the start of each. Starts nothing."""
    ground = surroundings.ground_of_checks(body.mask_check_id, body.mix_check_id)
    wish = require_wish(session, body.device)
    ground, backends = ground.on(session, wish), placed(session, backends, wish)
    check = require_mask_check(session, body.mask_check_id)
    version = require_version(session, check.dataset_version_id)
    model, _folder = require_ready(session, check.base_model_id)
    recipe, axes = book.require(body.recipe), list(body.varied(body.changes))
    further = read_further(session, body.init_adapter, check.base_model_id)
    # What is wrong is refused as at the start.
    for one in combinations(axes):
        changes = further.changes(recipe, {**body.changes, **one})
        further.require_fitting(fit_config(recipe, changes, version, model.info, backends).config)
    choice = Choice(recipe.name, further.changes(recipe, body.changes), book=book, locked=further.locked)
    beside = read_beside(session, check, body.mix_check_id)
    found = plan_sweep(choice, axes, version, check, model.info, ground.device, backends, beside)
    facts = Facts(
        version,
        model,
        check,
        require_job(session, check.job_id),
        Plan(),
        ground,
        suites=body.evaluate_with,
        confirmed=body.confirmed,
        override_reason=body.override_reason,
        beside=beside,
    )
    looks = [
        PreflightOut.of(
            preflight(replace(facts, plan=member.plan)), body.accepted_warnings, body.override_reason, None
        )
        for member in found.members
    ]
    return SweepPlanOut.of(*with_pace(session, found, check.base_model_id), looks)


@router.get("/{sweep_id}")
@needs(Permission.RUN_READ)
def get_sweep(session: Db, judging: AppJudging, sweep_id: int) -> SweepOut:
    """One sweep, with its runs in the order of their values."""
    sweep = service.require_sweep(session, sweep_id)
    return SweepOut.of(sweep, read_table(session, judging, sweep))


@router.patch("/{sweep_id}")
@needs(Permission.RUN_START)
def rename_sweep(
    session: Db, actor: CurrentActor, judging: AppJudging, sweep_id: int, body: SweepNameIn
) -> SweepOut:
    """Give it another name."""
    sweep = service.require_sweep(session, sweep_id)
    service.rename_sweep(session, actor, sweep, body.name)
    return SweepOut.of(sweep, read_table(session, judging, sweep))


@router.post("/{sweep_id}/stop")
@needs(Permission.RUN_STOP)
def stop_sweep(
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    judging: AppJudging,
    sweep_id: int,
    how: service.HowToStop | None = None,
) -> SweepOut:
    """Cancel the runs that wait; with `how`, end those under way as well: `cancel` drops what they have learned, `save`
    keeps it."""
    sweep = service.require_sweep(session, sweep_id)
    service.stop_sweep(session, storage, actor, sweep, how)
    return SweepOut.of(sweep, read_table(session, judging, sweep))
