"""REST before a run is started: configs of other tools, estimates and advice."""

from typing import Final

from sqlmodel import Session

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.base_models.service import require_ready
from app.core.database import reading
from app.core.errors import Invalid, StudioError
from app.core.i18n import say
from app.core.routing import Router
from app.core.web import AppEngine, Db
from app.jobs.service import require_job
from app.jobs.workers import require_wish
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import newest_report, require_mask_check
from app.recipes.foreign import read_sound
from app.recipes.own import AppRecipes
from app.runs.backends import TheseBackends
from app.runs.fitting import fit_config
from app.runs.further import read_further
from app.runs.mixing import SAME_VERSION, Beside, read_beside, require_some
from app.runs.pace import pace_of
from app.runs.placing import placed
from app.runs.plan_schemas import PlanIn, PlanOut
from app.runs.planning import Choice, make_plan
from app.runs.preflight.checklist import preflight
from app.runs.preflight.facts import Facts
from app.runs.preflight.ground import TheseSurroundings
from app.runs.preflight.schemas import items_out
from app.runs.schemas import ForeignConfigIn, ForeignConfigOut
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.service import require_version

FOREIGN_CHECK: Final = N_(
    "Mask check %(id)d is of another version or base model. Name one of these two, or none for the newest."
)

router = Router(prefix="/api/v1", tags=["runs"])


@router.post("/recipes/read")
@needs(Permission.RUN_READ)
def read_config(body: ForeignConfigIn) -> ForeignConfigOut:
    """What a training config of LLaMA-Factory or Axolotl, or an exported recipe, asks for here. Starts and stores nothing."""
    read = read_sound(body.config)
    return ForeignConfigOut(tool=read.tool, changes=read.values, notes=[say(note) for note in read.notes])


@router.post("/runs/plan")
@needs(Permission.RUN_READ)
def plan_run(
    session: Db,
    engine: AppEngine,
    book: AppRecipes,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    body: PlanIn,
) -> PlanOut:
    """What a run would be and take, advice computed from the version and the choice, and the pre-flight: what stands against a
    start. Starts nothing."""
    with reading(engine) as looking:
        found = _checks(looking, body)
    ground = surroundings.ground(*found)
    wish = require_wish(session, body.device)
    ground, backends = ground.on(session, wish), placed(session, backends, wish)
    version = require_version(session, body.dataset_version_id)
    model, _folder = require_ready(session, body.base_model_id)
    check = _check(session, body)
    beside = _beside(session, body, check)
    # What is wrong is refused as at the start of a run.
    recipe, further = (
        book.require(body.recipe),
        read_further(session, body.init_adapter, body.base_model_id),
    )
    changes = further.changes(recipe, body.changes)
    further.require_fitting(fit_config(recipe, changes, version, model.info, backends).config)
    choice = Choice(body.recipe, changes, body.task, book, further.locked)
    plan = make_plan(choice, version, check, model.info, ground.device, backends, beside)
    pace = pace_of(session, body.base_model_id, plan)
    facts = Facts(
        version,
        model,
        check,
        require_job(session, check.job_id) if check else None,
        plan,
        ground,
        suites=body.evaluate_with,
        confirmed=body.confirmed,
        override_reason=body.override_reason,
        beside=beside,
    )
    items = items_out(preflight(facts), body.accepted_warnings, body.override_reason)
    return PlanOut.of(plan, pace, check, items, further.begins)


def _checks(
    session: Session, body: PlanIn
) -> tuple[DatasetVersion | None, DatasetVersion | None, MaskCheck | None, MaskCheck | None]:
    """Both versions and both checks, as far as there are any: what is wrong with them is told later."""
    try:
        check = _check(session, body)
        beside = _beside(session, body, check)
    except StudioError:
        return session.get(DatasetVersion, body.dataset_version_id), None, None, None
    version = session.get(DatasetVersion, body.dataset_version_id)
    mixed = (beside.version, beside.check) if beside else (None, None)
    return version, mixed[0], check, mixed[1]


def _check(session: Session, body: PlanIn) -> MaskCheck | None:
    """The one that is named, or the newest. Raises Invalid for one of something else."""
    if body.mask_check_id is None:
        return newest_report(session, body.dataset_version_id, body.base_model_id)
    check = require_mask_check(session, body.mask_check_id)
    if (check.dataset_version_id, check.base_model_id) != (body.dataset_version_id, body.base_model_id):
        raise Invalid(FOREIGN_CHECK, field="mask_check_id", id=body.mask_check_id)
    return check


def _beside(session: Session, body: PlanIn, check: MaskCheck | None) -> Beside | None:
    """What is mixed in, by the check that is named, or by the newest that goes with the first one."""
    if body.mix_check_id is not None and check is not None:
        named = read_beside(session, check, body.mix_check_id)
        if named and body.mix_version_id not in (None, named.version.id):
            raise Invalid(FOREIGN_CHECK, field="mix_check_id", id=body.mix_check_id)
        return named
    if body.mix_version_id is None:
        return None
    if body.mix_version_id == body.dataset_version_id:
        raise Invalid(SAME_VERSION, field="mix_version_id")
    version = require_version(session, body.mix_version_id)
    require_some(version, field="mix_version_id")
    found = newest_report(session, body.mix_version_id, body.base_model_id)
    if found is None or (check is not None and found.settings_key != check.settings_key):
        return Beside(version, None)
    return Beside(version, found, require_job(session, found.job_id))
