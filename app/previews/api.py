"""REST for mask previews."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.accounts.access import AnyActor
from app.conversations.service import require_conversation
from app.core.database import reading
from app.core.web import AppEngine
from app.previews import service

router = APIRouter(prefix="/api/v1", tags=["mask previews"])


class PreviewIn(BaseModel):
    """What to preview: a stored conversation's id or messages of one's own."""

    model_config = ConfigDict(extra="forbid")

    base_model_id: int
    conversation_id: int | None = None
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
def preview(engine: AppEngine, _actor: AnyActor, body: PreviewIn) -> list[PreviewOut]:
    """The tokens and labels of a conversation, by the very function that makes the training arrays."""
    with reading(engine) as session:
        messages = body.messages
        if messages is None:
            messages = require_conversation(session, body.conversation_id or 0).messages
        shown = service.preview_messages(
            session,
            base_model_id=body.base_model_id,
            messages=messages,
            settings=service.parse_settings(body.settings),
            chat_template=body.chat_template,
        )
    return [PreviewOut.model_validate(one) for one in shown]
