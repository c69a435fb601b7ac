"""REST for mask previews."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from app.accounts.access import AnyActor
from app.conversations.service import require_conversation
from app.core.database import reading
from app.core.errors import Invalid
from app.core.i18n import N_
from app.core.storage import Storage
from app.core.web import AppEngine, AppStorage
from app.datasets.frozen import frozen_conversation
from app.datasets.versions import require_version
from app.previews import service

router = APIRouter(prefix="/api/v1", tags=["mask previews"])


class PreviewIn(BaseModel):
    """What to preview: a stored conversation's id, with a version its frozen copy, or messages of one's own."""

    model_config = ConfigDict(extra="forbid")

    base_model_id: int
    conversation_id: int | None = None
    # The conversation as this version froze it, whatever became of it since.
    dataset_version_id: int | None = None
    messages: list[dict[str, Any]] | None = None
    # train_on, handling, max_length, control_tokens, train_reasoning, template_arguments; absent: the default.
    settings: dict[str, Any] = Field(default_factory=dict)
    chat_template: str | None = None


class PreviewOut(BaseModel):
    """One sample as the trainer would see it."""

    text: str
    strategy: str
    tokens: list[dict[str, Any]]
    cut_tokens: list[dict[str, Any]]
    trained: int
    skipped: int
    truncated: int
    checks: list[dict[str, Any]]


@router.post("/mask-previews")
def preview(engine: AppEngine, storage: AppStorage, _actor: AnyActor, body: PreviewIn) -> list[PreviewOut]:
    """The tokens and labels of a conversation, by the very function that makes the training arrays."""
    with reading(engine) as session:
        messages = _messages(session, storage, body)
        shown = service.preview_messages(
            session,
            base_model_id=body.base_model_id,
            messages=messages,
            settings=service.parse_settings(body.settings),
            chat_template=body.chat_template,
        )
    return [PreviewOut.model_validate(one) for one in shown]


def _messages(session: Session, storage: Storage, body: PreviewIn) -> list[dict[str, Any]]:
    if (body.messages is None) == (body.conversation_id is None):
        raise Invalid(N_("Name a conversation_id or give messages, one of the two."), field="conversation_id")
    if body.messages is not None:
        if body.dataset_version_id is not None:
            raise Invalid(
                N_("A dataset_version_id goes with a conversation_id, not with messages."),
                field="dataset_version_id",
            )
        return body.messages
    assert body.conversation_id is not None
    if body.dataset_version_id is None:
        return require_conversation(session, body.conversation_id).messages
    version = require_version(session, body.dataset_version_id)
    messages: list[dict[str, Any]] = frozen_conversation(storage, version, body.conversation_id)["messages"]
    return messages
