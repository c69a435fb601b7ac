"""Tables of notices, webhooks and their deliveries."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from app.accounts.who import CreatedBy
from app.core.database import enum_column, moment_column, utc_now
from app.core.documents import DocumentColumn
from app.notices.messages import Event, Message, Trouble


class Notice(SQLModel, table=True):
    """Something that a person should hear of, who had asked for it."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_user_read", "user_id", "read_at", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    message: Message = Field(sa_column=Column(DocumentColumn(Message), nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    read_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))


class Format(StrEnum):
    """How a message is written: as JSON with all there is, or as the text that a chat program takes."""

    JSON = "json"
    SLACK = "slack"
    FEISHU = "feishu"
    DINGTALK = "dingtalk"
    WECOM = "wecom"


class Webhook(CreatedBy, table=True):
    """An address that is told of some events. `gate_` fields hold limits as a gate takes them, one a line."""

    __tablename__ = "webhook"

    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(max_length=500)
    # Signs what is sent, so it is kept as it is; nobody is shown it twice.
    secret: str = Field(max_length=120)
    events: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    format: Format = Field(sa_column=enum_column(Format))
    gate_min: str = ""
    gate_max: str = ""
    gate_against: str = Field(default="", max_length=20)
    is_active: bool = True
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class DeliveryState(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(SQLModel, table=True):
    """A message on its way to a webhook. `message_id` stays the same however often it is sent."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (Index("ix_webhook_delivery_due", "state", "next_at"),)

    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhook.id", index=True, ondelete="CASCADE")
    message_id: str = Field(max_length=60)
    event: Event = Field(sa_column=enum_column(Event))
    message: Message = Field(sa_column=Column(DocumentColumn(Message), nullable=False))
    state: DeliveryState = Field(default=DeliveryState.WAITING, sa_column=enum_column(DeliveryState))
    attempts: int = 0
    next_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    # Of the last attempt: the answer's status, and what was wrong with it, or why there was none.
    status_code: int | None = None
    error: Trouble | None = Field(default=None, sa_column=Column(DocumentColumn(Trouble), nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    ended_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
