"""What REST reads and writes of notices and webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import pydantic.dataclasses
from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.core.i18n import say
from app.notices.messages import Event, Message
from app.notices.models import Delivery, DeliveryState, Format, Notice, Webhook

# Those that can be subscribed to.
OfferedEvent = Literal[
    "run.succeeded",
    "run.failed",
    "run.cancelled",
    "evaluation.succeeded",
    "evaluation.failed",
    "gate.judged",
]


class NoticeOut(BaseModel):
    """Something that ended, which one had asked for. `text` is a sentence in the reader's language."""

    id: int
    event: Event
    text: str
    page: str | None
    created_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, notice: Notice) -> "NoticeOut":
        """From the stored row."""
        assert notice.id is not None
        return cls(
            id=notice.id,
            event=notice.message.type,
            text=notice.message.text,
            page=notice.message.data.page,
            created_at=notice.created_at,
            read_at=notice.read_at,
        )


class NoticesOut(BaseModel):
    """One's own, the newest first, and how many of all were not read."""

    unread: int
    notices: list[NoticeOut]


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """What somebody asks for, as typed: the service judges it. Without a secret one is made. REST inherits the limits with the
    fields.
    """

    url: Annotated[str, Field(max_length=500)]
    events: Sequence[str]
    secret: Annotated[str, Field(max_length=120)] = ""
    format: Format = Format.JSON
    gate_min: Annotated[str, Field(max_length=4000)] = ""
    gate_max: Annotated[str, Field(max_length=4000)] = ""
    gate_against: Annotated[str, Field(max_length=20)] = ""


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class WebhookIn(WebhookRequest):
    """Have an address told. Its host must be one that SFT_STUDIO_WEBHOOK_HOSTS names.

    `format` json sends a WebhookMessage, the others a line of text as those chat programs take it. `gate.judged` needs limits, as
    a gate takes them: `gate_min` and `gate_max` hold one metric=value a line. Without a secret one is made.
    """

    events: Annotated[list[OfferedEvent], Field(min_length=1, max_length=10)]


class WebhookOut(CreatedByOut):
    """A webhook; its secret is shown to nobody again."""

    id: int
    url: str
    events: list[Event]
    format: Format
    gate_min: str
    gate_max: str
    gate_against: str
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookOut":
        """From the stored row."""
        return cls.model_validate(webhook, from_attributes=True)


class WebhookMadeOut(WebhookOut):
    """A webhook that was just made, with the secret by which its receiver knows the sender: HMAC-SHA256 over
    `{webhook-id}.{webhook-timestamp}.{body}`, in base64 behind `v1,` in the header `webhook-signature`.
    """

    secret: str


class WebhookMessage(Message):
    """The body of a webhook in the format `json`."""


class DeliveryOut(BaseModel):
    """A message to a webhook. `status_code` and `error` are of the last attempt; `next_at` is null once there is none to come."""

    id: int
    message_id: str
    event: Event
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    status_code: int | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    message: WebhookMessage

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryOut":
        """From the stored row, in the reader's language."""
        names = set(cls.model_fields) - {"error", "next_at", "message"}
        return cls(
            **{name: getattr(delivery, name) for name in names},
            next_at=delivery.next_at if delivery.state is DeliveryState.WAITING else None,
            error=say(delivery.error.sentence) if delivery.error else None,
            message=WebhookMessage.model_validate(delivery.message.model_dump()),
        )
