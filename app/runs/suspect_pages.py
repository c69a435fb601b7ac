"""Pages of the walk: a conversation as the checked version froze it, under the check's own settings, and why."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from app.accounts.access import AnyActor
from app.core.database import reading
from app.core.storage import Storage
from app.core.web import AppEngine, AppStorage
from app.datasets.versions import require_version
from app.previews import answer
from app.previews.choices import Choices, PreviewFields, PreviewForm
from app.previews.subjects import Subject
from app.runs.mask_checks import require_mask_check
from app.runs.models import MaskCheck
from app.runs.suspects import Suspect, address_of, suspects_of, walk_at

router = APIRouter(prefix="/mask-checks", include_in_schema=False)

Only = Annotated[str, Query(max_length=20)]


def _subject(session: Session, storage: Storage, check: MaskCheck, conversation_id: int) -> Subject:
    version = require_version(session, check.dataset_version_id)
    path = f"/mask-checks/{check.id}/conversations/{conversation_id}/mask"
    return Subject.of_version(session, storage, version, conversation_id, path)


def _answer(
    request: Request,
    session: Session,
    storage: Storage,
    check: MaskCheck,
    conversation_id: int,
    fields: PreviewFields,
    only: str,
) -> Response:
    def walk(choices: Choices) -> dict[str, Any]:
        return {"walk": walk_at(check, choices, conversation_id, only)}

    return answer.answer_preview(
        request,
        session,
        _subject(session, storage, check, conversation_id),
        fields,
        way=f"?only={only}" if only else "",
        context=walk,
    )


@router.get("/{mask_check_id}/conversations/{conversation_id}/mask", response_model=None)
def suspect_page(
    request: Request,
    engine: AppEngine,
    storage: AppStorage,
    _actor: AnyActor,
    mask_check_id: int,
    conversation_id: int,
    fields: Annotated[PreviewFields, Query()],
    only: Only = "",
) -> Response:
    """The frozen conversation. An address without settings leads to the check's own, at the place to look at."""
    with reading(engine) as session:
        check = require_mask_check(session, mask_check_id)
        if not fields.base_model:
            everyone = {one.conversation_id: one for one in suspects_of(check.report or {})}
            suspect = everyone.get(conversation_id, Suspect(conversation_id))
            return RedirectResponse(address_of(check, suspect, only), status_code=303)
        return _answer(request, session, storage, check, conversation_id, fields, only)


@router.post("/{mask_check_id}/conversations/{conversation_id}/mask", response_model=None)
def change_settings(
    request: Request,
    engine: AppEngine,
    storage: AppStorage,
    _actor: AnyActor,
    mask_check_id: int,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
    only: Only = "",
) -> Response:
    """The same under other settings, to see whether they help. Reads only."""
    with reading(engine) as session:
        check = require_mask_check(session, mask_check_id)
        return _answer(request, session, storage, check, conversation_id, fields, only)


@router.post("/{mask_check_id}/conversations/{conversation_id}/mask/json", response_model=None)
def sample_as_json(
    engine: AppEngine,
    storage: AppStorage,
    _actor: AnyActor,
    mask_check_id: int,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    with reading(engine) as session:
        check = require_mask_check(session, mask_check_id)
        return answer.sample_as_json(session, _subject(session, storage, check, conversation_id), fields)
