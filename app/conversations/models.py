"""Tables of conversations. A conversation is one document: its messages live in one JSON column."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import JSON, Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel, col

from app.accounts.who import CreatedBy
from app.core.database import enum_column, moment_column, utc_now
from app.datasets.visibility import hidden_datasets, hide_unless, staged_imports
from app.dialogue.documents import Message, ToolDefinition
from app.dialogue.labels import LABELS, Outcome
from app.sentences import N_


class ReviewState(StrEnum):
    """Only approved conversations are trained on. A draft is worked on, or nobody has looked at it yet; whoever has done
    with it hands it in."""

    DRAFT = "draft"
    HANDED_IN = "handed_in"
    APPROVED = "approved"
    REJECTED = "rejected"
    # Not worth the work. Kept, so that the same dialogue does not come in again.
    DISCARDED = "discarded"


# Suggestions in the labels form; any other text is kept as it is.
STAGES: Final = {
    "discovery": N_("Discovery"),
    "demo": N_("Demo"),
    "proposal": N_("Proposal"),
    "negotiation": N_("Negotiation"),
    "closing": N_("Closing"),
    "after_sales": N_("After sales"),
}
OBJECTIONS: Final = {
    "price": N_("Price"),
    "competitor": N_("Competitor"),
    "timing": N_("Timing"),
    "trust": N_("Trust"),
    "authority": N_("Not the decision maker"),
    "need": N_("No need"),
    "none": N_("No objection"),
}


class Conversation(SQLModel, table=True):
    """One dialogue. `version` grows by one with every change and guards against silent overwriting."""

    __tablename__ = "conversation"
    __table_args__ = (
        # `staged_by` in all that lists use: they are told by an index alone. `version`: freezing compares it.
        Index("ix_conversation_dataset_review", "dataset_id", "review_state", "id", "staged_by", "version"),
        # Duplicates.
        Index("ix_conversation_dataset_words", "dataset_id", "words_hash"),
        # Corrected records.
        Index("ix_conversation_dataset_questions", "dataset_id", "questions_hash"),
        # The list in its order, the list of one outcome with its counts, the newest change.
        Index("ix_conversation_dataset_id", "dataset_id", "id", "staged_by"),
        Index("ix_conversation_dataset_outcome", "dataset_id", "outcome", "id", "review_state", "staged_by"),
        Index("ix_conversation_dataset_updated", "dataset_id", "updated_at", "staged_by"),
        # What lists can be narrowed to, counted.
        Index(
            "ix_conversation_dataset_facets",
            *("dataset_id", "stage", "objection", "language", "product", "updated_by", "staged_by"),
        ),
        # What is somebody's, everywhere and within a dataset.
        Index(
            "ix_conversation_assigned_to", "assigned_to_user_id", "review_state", "dataset_id", "staged_by"
        ),
        Index(
            "ix_conversation_dataset_assigned",
            *("dataset_id", "assigned_to_user_id", "review_state", "staged_by"),
        ),
        # What was sent back to somebody.
        Index("ix_conversation_sent_back_to", "sent_back_to_user_id", "review_state", "staged_by"),
    )

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", ondelete="CASCADE")
    title: str = Field(max_length=120)
    messages: list[Message] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    # What the assistant may call, [] where nothing.
    tools: list[ToolDefinition] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]")
    )
    outcome: Outcome | None = Field(default=None, sa_column=enum_column(Outcome, nullable=True))
    stage: str | None = Field(default=None, max_length=LABELS["stage"])
    objection: str | None = Field(default=None, max_length=LABELS["objection"])
    product: str | None = Field(default=None, max_length=LABELS["product"])
    language: str | None = Field(default=None, max_length=LABELS["language"])
    source: str | None = Field(default=None, max_length=LABELS["source"])
    tags: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    review_state: ReviewState = Field(default=ReviewState.DRAFT, sa_column=enum_column(ReviewState))
    review_reason: str | None = None
    reviewed_by: str | None = Field(default=None, max_length=80)
    reviewed_by_user_id: int | None = None
    reviewed_by_token_id: int | None = None
    reviewed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    # Kept through the review, so that undoing it leads back to what waited for it.
    handed_in_by: str | None = Field(default=None, max_length=80)
    handed_in_by_user_id: int | None = None
    handed_in_by_token_id: int | None = None
    handed_in_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    # Whose work it is: given to them, or handed in by them when it was nobody's.
    assigned_to_user_id: int | None = None
    # Whose work was sent back: who handed it in, whose it is, or who changed it last.
    sent_back_to_user_id: int | None = None
    # Of app.dialogue.hashes: with the train flags, and of the words alone, by which duplicates are told.
    content_hash: str = Field(max_length=64)
    words_hash: str = Field(max_length=64)
    # Of what is asked: a corrected record has that of its old one. "" where nothing is asked.
    questions_hash: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    search_text: str = Field(default="", sa_column=Column(Text, nullable=False))
    version: int = 1
    updated_by: str = Field(default="", max_length=80)
    updated_by_user_id: int | None = None
    updated_by_token_id: int | None = None
    # The operation of the import that brought it; until that is done, no reader sees the conversation.
    staged_by: int | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class ConversationRevision(SQLModel, table=True):
    """A conversation as it was after one change; kept so that any change can be undone."""

    __tablename__ = "conversation_revision"
    __table_args__ = (
        UniqueConstraint("conversation_id", "version"),
        # The reasons that somebody gave.
        Index(
            "ix_conversation_revision_reasons",
            *("author_user_id", "id"),
            sqlite_where=sa.text("reason IS NOT NULL"),
            postgresql_where=sa.text("reason IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: int = Field(foreign_key="conversation.id", index=True, ondelete="CASCADE")
    version: int
    action: str = Field(max_length=40)
    author: str = Field(max_length=80)
    author_user_id: int | None = None
    author_token_id: int | None = None
    # Why it was sent back or discarded.
    reason: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    # messages, tools where there were any, and labels at that version
    snapshot: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class ConversationComment(CreatedBy, table=True):
    """Something said about a conversation, or about one of its turns; see `comments.py`."""

    __tablename__ = "conversation_comment"

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: int = Field(foreign_key="conversation.id", index=True, ondelete="CASCADE")
    # Counted from 0, and the beginning of the words that stood there.
    turn: int | None = None
    quote: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    text: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    settled_by: str | None = Field(default=None, max_length=80)
    settled_by_user_id: int | None = None
    settled_by_token_id: int | None = None
    settled_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))


def is_visible() -> sa.ColumnElement[bool]:
    """The condition under which a conversation is there for readers; for statements on the bare table."""
    table = Conversation.__table__  # type: ignore[attr-defined]
    published = sa.or_(table.c.staged_by.is_(None), table.c.staged_by.not_in(staged_imports()))
    return sa.and_(published, table.c.dataset_id.not_in(hidden_datasets()))


hide_unless(
    Conversation,
    sa.and_(
        sa.or_(col(Conversation.staged_by).is_(None), col(Conversation.staged_by).not_in(staged_imports())),
        col(Conversation.dataset_id).not_in(hidden_datasets()),
    ),
)
