"""Pages of mask previews of a conversation as a version froze it, whatever became of it since."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts.access import AnyActor
from app.core.database import reading
from app.core.web import AppEngine, AppStorage
from app.mask_settings.choices import PreviewFields, PreviewForm
from app.previews import answer
from app.previews.subjects import Subject
from app.versions.service import require_version

router = APIRouter(
    prefix="/dataset-versions/{version_id}/conversations/{conversation_id}", include_in_schema=False
)


@dataclass(frozen=True)
class _Copy:
    session: Session
    subject: Subject


def _copy(
    engine: AppEngine, storage: AppStorage, _actor: AnyActor, version_id: int, conversation_id: int
) -> Iterator[_Copy]:
    """The copy that the address names, while its session is open."""
    with reading(engine) as session:
        version = require_version(session, version_id)
        yield _Copy(session, Subject.of_version(session, storage, version, conversation_id))


Copy = Annotated[_Copy, Depends(_copy, scope="function")]


@router.get("/mask")
def frozen_mask_page(request: Request, copy: Copy, fields: Annotated[PreviewFields, Query()]) -> HTMLResponse:
    """The preview under the settings in the address."""
    return answer.answer_preview(request, copy.session, copy.subject, fields)


@router.post("/mask")
def change_frozen_settings(
    request: Request, copy: Copy, fields: Annotated[PreviewForm, Form()]
) -> HTMLResponse:
    """The same under the form's settings. Reads only."""
    return answer.answer_preview(request, copy.session, copy.subject, fields)


@router.post("/mask/json", response_model=None)
def frozen_sample_as_json(copy: Copy, fields: Annotated[PreviewForm, Form()]) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    return answer.sample_as_json(copy.session, copy.subject, fields)
