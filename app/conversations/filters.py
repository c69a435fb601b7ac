"""What a list of conversations shows, and what previous/next walk through."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from app.conversations.models import Conversation, Outcome, ReviewState


@dataclass(frozen=True)
class ConversationFilter:
    """Conditions on the conversations of one dataset; all of them hold at once."""

    dataset_id: int
    review_state: ReviewState | None = None
    outcome: Outcome | None = None
    query: str = ""

    def apply(self, statement: SelectOfScalar[Any]) -> SelectOfScalar[Any]:
        """Add this filter's conditions."""
        statement = statement.where(Conversation.dataset_id == self.dataset_id)
        if self.review_state:
            statement = statement.where(col(Conversation.review_state) == self.review_state)
        if self.outcome:
            statement = statement.where(col(Conversation.outcome) == self.outcome)
        for word in self.query.casefold().split():
            statement = statement.where(col(Conversation.search_text).contains(word, autoescape=True))
        return statement

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.review_state or self.outcome or self.query.strip())

    def but(self, **changes: Any) -> "ConversationFilter":
        """The same filter with some conditions changed."""
        return replace(self, **changes)

    def query_string(self, **more: object) -> str:
        """For links: "?review_state=draft&q=price", or nothing when it leaves nothing out."""
        values = {"review_state": self.review_state, "outcome": self.outcome, "q": self.query.strip(), **more}
        text = urlencode({name: str(value) for name, value in values.items() if value})
        return f"?{text}" if text else ""


@dataclass(frozen=True)
class Place:
    """Where a conversation stands in a filtered list; `number` counts from 1."""

    number: int
    total: int
    previous_id: int | None
    next_id: int | None


def place_of(session: Session, conversation: Conversation, where: ConversationFilter) -> Place:
    """Neighbours within the filter; a conversation that left it (just approved, say) still has both."""
    own = conversation.id
    before = where.apply(select(func.count()).select_from(Conversation)).where(col(Conversation.id) < own)
    total = where.apply(select(func.count()).select_from(Conversation))
    previous_id = where.apply(select(func.max(Conversation.id))).where(col(Conversation.id) < own)
    next_id = where.apply(select(func.min(Conversation.id))).where(col(Conversation.id) > own)
    return Place(
        session.exec(before).one() + 1,
        session.exec(total).one(),
        session.exec(previous_id).one(),
        session.exec(next_id).one(),
    )
