"""What REST reads and writes for conversations."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.conversations.models import Conversation, MessageRole, Outcome, ReviewState


class MessageIn(BaseModel):
    """One turn. `train` forces a turn in or out of training; absent follows the strategy."""

    model_config = ConfigDict(extra="forbid")

    role: MessageRole
    content: str = ""
    train: bool | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None

    def plain(self) -> dict[str, Any]:
        """As stored."""
        return self.model_dump(exclude_none=True, mode="json")


class Labels(BaseModel):
    """Labels of a conversation; only the ones sent are changed."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome | None = None
    stage: str | None = Field(default=None, max_length=60)
    objection: str | None = Field(default=None, max_length=60)
    product: str | None = Field(default=None, max_length=120)
    language: str | None = Field(default=None, max_length=10)
    source: str | None = Field(default=None, max_length=120)
    tags: list[str] | None = None


class ConversationIn(Labels):
    """A new conversation."""

    messages: list[MessageIn] = Field(min_length=1)


class ConversationEdit(BaseModel):
    """A change to exactly `version`; a different stored version is a 409."""

    model_config = ConfigDict(extra="forbid")

    version: int
    messages: list[MessageIn] | None = None
    labels: Labels | None = None


class ReviewIn(BaseModel):
    """A reviewer's decision on exactly `version`."""

    model_config = ConfigDict(extra="forbid")

    version: int
    state: ReviewState
    reason: str | None = Field(default=None, max_length=2000)


class ConversationOut(BaseModel):
    """A conversation as the API shows it."""

    id: int
    dataset_id: int
    version: int
    title: str
    messages: list[dict[str, Any]]
    outcome: Outcome | None
    stage: str | None
    objection: str | None
    product: str | None
    language: str | None
    source: str | None
    tags: list[str]
    review_state: ReviewState
    review_reason: str | None
    reviewed_by: str | None
    updated_by: str
    updated_at: datetime

    @classmethod
    def of(cls, conversation: Conversation) -> "ConversationOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(conversation, name) for name in cls.model_fields})


class ConversationPage(BaseModel):
    """One page of a list."""

    conversations: list[ConversationOut]
    total: int
    offset: int


class RevisionOut(BaseModel):
    """A change in a conversation's history."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    action: str
    author: str
    created_at: datetime


class RestoreIn(BaseModel):
    """Go from exactly `version` back to what the conversation was at `wanted`."""

    model_config = ConfigDict(extra="forbid")

    version: int
    wanted: int


class ReviewManyIn(BaseModel):
    """Review several conversations: the named ones, or every draft of the dataset."""

    model_config = ConfigDict(extra="forbid")

    state: ReviewState
    conversation_ids: list[int] | None = None
    reason: str | None = Field(default=None, max_length=2000)


class ReviewManyOut(BaseModel):
    """How many changed, and which did not."""

    changed: int
    refused: list[dict[str, Any]]
