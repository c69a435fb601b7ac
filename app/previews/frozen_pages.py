"""Pages of mask previews of a conversation as a version froze it, whatever became of it since."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Engine
from sqlmodel import Session

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.database import reading
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.storage import Storage
from app.core.web import AppEngine, AppStorage
from app.mask_settings.choices import PreviewFields, PreviewForm
from app.previews import answer
from app.previews.service import PREVIEWS
from app.previews.subjects import Subject
from app.versions.service import require_version

router = Router(
    prefix="/dataset-versions/{version_id}/conversations/{conversation_id}", include_in_schema=False
)


@dataclass(frozen=True)
class _Address:
    """The copy that the address names."""

    engine: Engine
    storage: Storage
    version_id: int
    conversation_id: int

    @contextmanager
    def open(self) -> Iterator[tuple[Session, Subject]]:
        """The copy, and a session for what belongs to it. Raises NotFound."""
        with reading(self.engine) as session:
            version = require_version(session, self.version_id)
            yield session, Subject.of_version(session, self.storage, version, self.conversation_id)


async def _address(engine: AppEngine, storage: AppStorage, version_id: int, conversation_id: int) -> _Address:
    return _Address(engine, storage, version_id, conversation_id)


Copy = Annotated[_Address, Depends(_address)]


@router.get("/mask")
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def frozen_mask_page(request: Request, copy: Copy, fields: Annotated[PreviewFields, Query()]) -> HTMLResponse:
    """The preview under the settings in the address."""
    with copy.open() as (session, subject):
        return answer.answer_preview(request, session, subject, fields)


@router.post("/mask")
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def change_frozen_settings(
    request: Request, copy: Copy, fields: Annotated[PreviewForm, Form()]
) -> HTMLResponse:
    """The same under the form's settings. Reads only."""
    with copy.open() as (session, subject):
        return answer.answer_preview(request, session, subject, fields)


@router.post("/mask/json", response_model=None)
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def frozen_sample_as_json(request: Request, copy: Copy, fields: Annotated[PreviewForm, Form()]) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    with copy.open() as (session, subject):
        return answer.sample_as_json(session, subject, fields)
