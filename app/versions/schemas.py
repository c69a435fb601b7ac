"""What REST shows of frozen versions."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.conversations.conditions import Conditions, Id, Words
from app.conversations.dialogue_schemas import DialogueOut
from app.conversations.filters import ConversationFilter
from app.dialogue.conversation import FrozenConversation
from app.dialogue.labels import LABELS, Outcome
from app.versions.freezing import Frozen
from app.versions.models import NAME_LIMIT, DatasetVersion
from app.versions.options import MAX_NOTE, MAX_SEED, MAX_SHARE, FreezeOptions


class RedactionOut(BaseModel):
    """When conversations were erased from a version, by whom (ids are null in rows from before they were kept, and
    `by_token_id` for what was done in a browser), and the version's hash before.
    """

    at: datetime
    by: str
    by_user_id: int | None = None
    by_token_id: int | None = None
    old_hash: str


class VersionOut(CreatedByOut):
    """A frozen version."""

    id: int
    dataset_id: int
    number: int
    name: str
    note: str
    # What was asked for: null as share is the usual one; an empty selection is all that was approved.
    validation_share: float | None
    seed: int
    selection: dict[str, str | int]
    content_hash: str
    train_count: int
    validation_count: int
    coverage: dict[str, dict[str, int]]
    created_at: datetime
    redactions: list[RedactionOut]

    @classmethod
    def of(cls, version: DatasetVersion) -> "VersionOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(version, name) for name in cls.model_fields})


class SelectionIn(BaseModel, Conditions):
    """Conditions on the approved conversations; all of them hold at once. As in the list of conversations."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome | None = None
    q: Words = ""
    brought_by: Id | None = None

    def where(self, dataset_id: int) -> ConversationFilter | None:
        """As a filter; None where nothing is asked for."""
        asked = self.model_dump()
        asked["query"] = asked.pop("q")
        where = ConversationFilter(dataset_id, **asked)
        return where if where.is_narrow else None


class FreezeIn(BaseModel):
    """How a version is frozen; all of it may be left out. `validation_share` null holds out 5 %, of ten conversations or
    more; another `seed` holds out others."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=NAME_LIMIT)] = ""
    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""
    validation_share: Annotated[float, Field(ge=0, le=MAX_SHARE)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    only: SelectionIn = SelectionIn()

    def options(self, dataset_id: int) -> FreezeOptions:
        """For freezing this dataset."""
        where = self.only.where(dataset_id)
        return FreezeOptions(self.name, self.note, where, self.validation_share, self.seed)


class VersionEdit(BaseModel):
    """What a version is called; what is absent stays. What is frozen never changes."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    note: Annotated[str, Field(max_length=MAX_NOTE)] | None = None


class FrozenConversationOut(DialogueOut):
    """A conversation as the version froze it."""

    id: int
    split: Literal["train", "validation"]

    @classmethod
    def of(cls, line: FrozenConversation) -> "FrozenConversationOut":
        """From a line of the version's file, which leaves out what the conversation does not have."""
        return cls.model_validate({**dict.fromkeys(LABELS), "tools": [], "tags": [], **line})


class FrozenConversationsPage(BaseModel):
    """One page of a version's conversations."""

    conversations: list[FrozenConversationOut]
    total: int
    offset: int


class FrozenOut(VersionOut):
    """What freezing gave."""

    # False: nothing has changed since this version, so no other was made of the same content.
    is_new: bool

    @classmethod
    def of_frozen(cls, frozen: Frozen) -> "FrozenOut":
        """From what freezing gave."""
        return cls(**VersionOut.of(frozen.version).model_dump(), is_new=frozen.is_new)


class ChangesOut(BaseModel):
    """What came to a version, changed and went since the version before it, in conversations."""

    # The number of the version before.
    since: int
    added: int
    changed: int
    removed: int
