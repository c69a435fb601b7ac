"""Pages of the walk: a conversation as the checked version froze it, under the check's own settings, and why."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Engine
from sqlmodel import Session

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.database import reading
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.storage import Storage
from app.core.web import AppEngine, AppStorage
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import require_mask_check
from app.mask_checks.suspects import Suspect, address_of, suspects_of, walk_at
from app.mask_settings.choices import Choices, PreviewFields, PreviewForm
from app.previews import answer
from app.previews.service import PREVIEWS
from app.previews.subjects import Subject
from app.versions.service import require_version

router = Router(
    prefix="/mask-checks/{mask_check_id}/conversations/{conversation_id}", include_in_schema=False
)


@dataclass(frozen=True)
class _Stop:
    """Where on the walk the reader stands; `only` narrows it to one kind of reason."""

    session: Session
    storage: Storage
    check: MaskCheck
    conversation_id: int
    only: str

    @property
    def subject(self) -> Subject:
        """Read from the frozen file, which a mere redirect does without."""
        version = require_version(self.session, self.check.dataset_version_id)
        path = f"/mask-checks/{self.check.id}/conversations/{self.conversation_id}/mask"
        return Subject.of_version(self.session, self.storage, version, self.conversation_id, path)

    def own_address(self) -> str:
        """With the check's own settings, at the place to look at."""
        everyone = {one.conversation_id: one for one in suspects_of(self.check.report)}
        suspect = everyone.get(self.conversation_id, Suspect(self.conversation_id))
        return address_of(self.check, suspect, self.only)

    def answer(self, request: Request, fields: PreviewFields) -> Response:
        """The preview with the way on and back."""

        def walk(choices: Choices) -> dict[str, Any]:
            return {"walk": walk_at(self.check, choices, self.conversation_id, self.only)}

        way = f"?only={self.only}" if self.only else ""
        return answer.answer_preview(request, self.session, self.subject, fields, way=way, context=walk)


@dataclass(frozen=True)
class _Address:
    """The stop that the address names."""

    engine: Engine
    storage: Storage
    mask_check_id: int
    conversation_id: int
    only: str

    @contextmanager
    def open(self) -> Iterator[_Stop]:
        """The stop, while its session is open. Raises NotFound."""
        with reading(self.engine) as session:
            check = require_mask_check(session, self.mask_check_id)
            yield _Stop(session, self.storage, check, self.conversation_id, self.only)


async def _address(
    engine: AppEngine,
    storage: AppStorage,
    mask_check_id: int,
    conversation_id: int,
    only: Annotated[str, Query(max_length=20)] = "",
) -> _Address:
    return _Address(engine, storage, mask_check_id, conversation_id, only)


Address = Annotated[_Address, Depends(_address)]


@router.get("/mask", response_model=None)
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def suspect_page(request: Request, address: Address, fields: Annotated[PreviewFields, Query()]) -> Response:
    """The frozen conversation. An address without settings leads to the check's own, at the place to look at."""
    with address.open() as stop:
        if not fields.base_model:
            return RedirectResponse(stop.own_address(), status_code=303)
        return stop.answer(request, fields)


@router.post("/mask", response_model=None)
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def change_settings(request: Request, address: Address, fields: Annotated[PreviewForm, Form()]) -> Response:
    """The same under other settings, to see whether they help. Reads only."""
    with address.open() as stop:
        return stop.answer(request, fields)


@router.post("/mask/json", response_model=None)
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def sample_as_json(request: Request, address: Address, fields: Annotated[PreviewForm, Form()]) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    with address.open() as stop:
        return answer.sample_as_json(stop.session, stop.subject, fields)
