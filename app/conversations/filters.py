"""The conditions of a filtered list of conversations."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from sqlalchemy import Select
from sqlmodel import col

from app.conversations.models import Conversation, ReviewState
from app.dialogue.labels import Outcome

Selected = TypeVar("Selected", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class ConversationFilter:
    """Conditions on the conversations of one dataset; all of them hold at once."""

    dataset_id: int
    review_state: ReviewState | None = None
    outcome: Outcome | None = None
    query: str = ""

    def apply(self, statement: Selected) -> Selected:
        """Add this filter's conditions."""
        statement = statement.where(col(Conversation.dataset_id) == self.dataset_id)
        if self.review_state:
            statement = statement.where(col(Conversation.review_state) == self.review_state)
        if self.outcome:
            statement = statement.where(col(Conversation.outcome) == self.outcome)
        for word in self.query.casefold().split():
            statement = statement.where(col(Conversation.search_text).contains(word, autoescape=True))
        return statement

    @property
    def has_query(self) -> bool:
        """Whether texts are searched."""
        return bool(self.query.strip())

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.review_state or self.outcome or self.has_query)

    def but(self, **changes: Any) -> "ConversationFilter":
        """The same filter with some conditions changed."""
        return replace(self, **changes)

    def query_string(self, **more: object) -> str:
        """For links: "?review_state=draft&q=price", or nothing when it leaves nothing out."""
        values = {"review_state": self.review_state, "outcome": self.outcome, "q": self.query.strip(), **more}
        text = urlencode({name: str(value) for name, value in values.items() if value})
        return f"?{text}" if text else ""
