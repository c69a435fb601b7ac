"""What REST reads and writes for conversations."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.conversations.assigning import Workload
from app.conversations.counts import DatasetCounts
from app.conversations.dialogue_schemas import (
    DialogueOut,
    MessagesIn,
    OutcomeIn,
    TagsIn,
    ToolsIn,
    label_schema,
)
from app.conversations.models import Conversation, ReviewState


class LabelsIn(BaseModel):
    """Labels of a conversation; only the ones sent are changed."""

    model_config = ConfigDict(extra="forbid")

    outcome: OutcomeIn = None
    stage: Annotated[Any, label_schema("stage")] = None
    objection: Annotated[Any, label_schema("objection")] = None
    product: Annotated[Any, label_schema("product")] = None
    language: Annotated[Any, label_schema("language")] = None
    source: Annotated[Any, label_schema("source")] = None
    tags: TagsIn = None

    def given(self) -> dict[str, Any]:
        """What was sent, as it was sent: `app.dialogue` checks it, for every door alike."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ConversationIn(LabelsIn):
    """A new conversation. 409 where the dataset has the same dialogue already."""

    messages: MessagesIn
    tools: ToolsIn = None


class ConversationEdit(BaseModel):
    """A change to exactly `version`; a different stored version is a 409. What is absent stays; null as `tools`
    takes them away."""

    model_config = ConfigDict(extra="forbid")

    version: int
    messages: MessagesIn = None
    tools: ToolsIn = None
    labels: LabelsIn | None = None


class ReviewIn(BaseModel):
    """A decision on exactly `version`: `handed_in` by whoever has done with it, `discarded` by whoever finds it not worth the
    work, the others by a reviewer."""

    model_config = ConfigDict(extra="forbid")

    version: int
    state: ReviewState
    reason: str | None = Field(default=None, max_length=2000)


class ConversationOut(DialogueOut):
    """A conversation as the API shows it. Who reviewed and changed it: the name as it was, and ids that older rows lack;
    no token's id for what was done in a browser."""

    id: int
    dataset_id: int
    version: int
    title: str
    review_state: ReviewState
    review_reason: str | None
    reviewed_by: str | None
    reviewed_by_user_id: int | None
    reviewed_by_token_id: int | None
    handed_in_by: str | None
    handed_in_by_user_id: int | None
    handed_in_by_token_id: int | None
    handed_in_at: datetime | None
    assigned_to_user_id: int | None
    sent_back_to_user_id: int | None
    updated_by: str
    updated_by_user_id: int | None
    updated_by_token_id: int | None
    updated_at: datetime

    @classmethod
    def of(cls, conversation: Conversation) -> "ConversationOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(conversation, name) for name in cls.model_fields})


class ConversationMadeOut(ConversationOut):
    """A conversation that was added, or that took the answers of a corrected one."""

    same_questions_as: int | None


class ConversationPage(BaseModel):
    """One page of a list."""

    conversations: list[ConversationOut]
    total: int
    offset: int


class RestoreIn(BaseModel):
    """Go from exactly `version` back to what the conversation was at `wanted`."""

    model_config = ConfigDict(extra="forbid")

    version: int
    wanted: int


class ReviewManyIn(BaseModel):
    """Review several conversations: the named ones, or all of the dataset that nobody has decided on."""

    model_config = ConfigDict(extra="forbid")

    state: ReviewState
    # The first that is no number says enough.
    conversation_ids: list[int] | None = Field(default=None, fail_fast=True)
    reason: str | None = Field(default=None, max_length=2000)


class ReviewRefusedOut(BaseModel):
    """A conversation whose state did not change, and why."""

    conversation_id: int
    reason: str


class ReviewManyOut(BaseModel):
    """How many changed, and which did not."""

    changed: int
    refused: list[ReviewRefusedOut]


class AssignIn(BaseModel):
    """Give conversations to people, in turn; to nobody where none is named. `conversation_ids` null: the drafts that are
    nobody's."""

    model_config = ConfigDict(extra="forbid")

    user_ids: Annotated[list[int], Field(max_length=1000)]
    conversation_ids: Annotated[list[int], Field(max_length=100_000)] | None = None


class AssignOut(BaseModel):
    """How many conversations were given."""

    assigned: int


class WorkloadOut(DatasetCounts):
    """The conversations of a dataset that are one person's, by review state; `user_id` null: nobody's."""

    user_id: int | None
    name: str

    @classmethod
    def of(cls, line: Workload) -> "WorkloadOut":
        """From counted rows."""
        return cls(user_id=line.user_id, name=line.name, **line.counts.model_dump())
