"""REST for mask checks."""

from typing import Annotated

from fastapi import Query, Request

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import reading, transaction
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.web import AppEngine, AppStorage, Db
from app.jobs import service as jobs
from app.mask_checks import service
from app.mask_checks.schemas import MaskCheckIn, MaskCheckOut, SuspectOut, SuspectsOut
from app.mask_checks.suspects import row_of
from app.masking import SuspectKind
from app.versions.service import require_version

router = Router(prefix="/api/v1", tags=["mask checks"])


@router.post("/mask-checks", status_code=201)
@needs(Permission.MASK_CHECK_START)
@apart(service.CHECKS)
def request_mask_check(
    request: Request, engine: AppEngine, storage: AppStorage, actor: CurrentActor, body: MaskCheckIn
) -> MaskCheckOut:
    """Ask for a mask check; the same question finds the same check."""
    with reading(engine) as session:
        question = service.read_question(
            session,
            dataset_version_id=body.dataset_version_id,
            base_model_id=body.base_model_id,
            settings=body.settings.to_settings(),
        )
    examined = service.examine(question, storage)
    with transaction(engine) as session:
        check, job = service.request_check(session, actor, examined)
        return MaskCheckOut.of(check, job)


@router.get("/mask-checks")
@needs(Permission.MASK_CHECK_READ)
def list_mask_checks(session: Db, dataset_version_id: Annotated[int, Query()]) -> list[MaskCheckOut]:
    """The mask checks of a dataset version, newest first."""
    require_version(session, dataset_version_id)
    return [
        MaskCheckOut.of(check, jobs.require_job(session, check.job_id))
        for check in service.list_mask_checks(session, dataset_version_id)
    ]


@router.get("/mask-checks/{mask_check_id}")
@needs(Permission.MASK_CHECK_READ)
def get_mask_check(session: Db, mask_check_id: int) -> MaskCheckOut:
    """One mask check with its report."""
    check = service.require_mask_check(session, mask_check_id)
    return MaskCheckOut.of(check, jobs.require_job(session, check.job_id))


@router.get("/mask-checks/{mask_check_id}/suspects")
@needs(Permission.MASK_CHECK_READ)
def list_suspects(
    session: Db,
    mask_check_id: int,
    only: Annotated[SuspectKind | None, Query(description="One kind of reason.")] = None,
    after: Annotated[int | None, Query(description="The conversation looked at last.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SuspectsOut:
    """Conversations that deserve a look, the worst first; those that come `after` one, or from the beginning."""
    row = row_of(service.require_mask_check(session, mask_check_id), only or "")
    start = next((at + 1 for at, one in enumerate(row) if one.conversation_id == after), 0)
    return SuspectsOut(total=len(row), suspects=[SuspectOut.of(one) for one in row[start : start + limit]])
