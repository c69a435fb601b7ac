"""The conditions and the order of a list of conversations."""

import json
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import Select
from sqlmodel import col

from app.conversations.conditions import Conditions
from app.conversations.models import Conversation, ReviewState
from app.dialogue.labels import Outcome

Selected = TypeVar("Selected", bound=Select[*tuple[Any, ...]])

# What a list may be sorted by; "-" before it turns the order around.
SORTS: Final = ("title", "review_state", "outcome", "stage", "objection", "language", "updated_at")
# Conditions that are one value of one column.
FACETS: Final = ("stage", "objection", "language", "product", "tag", "editor", "brought_by")


@dataclass(frozen=True)
class ConversationFilter(Conditions):
    """Conditions on the conversations of one dataset; all of them hold at once."""

    dataset_id: int
    review_state: ReviewState | None = None
    outcome: Outcome | None = None
    query: str = ""
    # The operation of the import that brought it.
    brought_by: int | None = None
    # The person whose work was sent back.
    sent_back_to: int | None = None
    # The person whose work it is; "nobody" for what is nobody's.
    assigned_to: int | Literal["nobody"] | None = None
    # One of SORTS, or that with "-" before it; "" is the order of arrival.
    sort: str = ""

    def apply(self, statement: Selected) -> Selected:
        """Add this filter's conditions."""
        statement = statement.where(col(Conversation.dataset_id) == self.dataset_id)
        for name, value in self._equal.items():
            if value:
                statement = statement.where(getattr(Conversation, name) == value)
        if self.tag:
            # Tags are stored as JSON text; one is found with its quotes.
            spelt = sa.cast(col(Conversation.tags), sa.Text)
            statement = statement.where(spelt.contains(json.dumps(self.tag), autoescape=True))
        if self.assigned_to == "nobody":
            statement = statement.where(col(Conversation.assigned_to_user_id).is_(None))
        elif self.assigned_to:
            statement = statement.where(col(Conversation.assigned_to_user_id) == self.assigned_to)
        for word in self.words:
            statement = statement.where(
                sa.or_(
                    col(Conversation.search_text).contains(word, autoescape=True),
                    sa.func.lower(col(Conversation.updated_by)).contains(word, autoescape=True),
                )
            )
        return statement

    @property
    def _equal(self) -> dict[str, Any]:
        own = {
            name: getattr(self, name)
            for name in ("review_state", "outcome", "stage", "objection", "language")
        }
        return {
            **own,
            "product": self.product,
            "updated_by": self.editor,
            "staged_by": self.brought_by,
            "sent_back_to_user_id": self.sent_back_to,
        }

    @property
    def words(self) -> list[str]:
        """What is searched for: each must be found somewhere."""
        return self.query.casefold().split()

    @property
    def has_query(self) -> bool:
        """Whether texts are searched."""
        return bool(self.query.strip())

    @property
    def is_plain(self) -> bool:
        """Whether an index tells the list in its order: by review state and outcome alone, as they arrived."""
        of_one = self.sent_back_to is not None or self.assigned_to is not None
        return not self.has_query and not self.sort and not self.has_facets and not of_one

    @property
    def has_facets(self) -> bool:
        """Whether it is narrowed by a label, a person or an import."""
        return any(getattr(self, name) for name in FACETS)

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return bool(
            self.review_state
            or self.outcome
            or self.has_query
            or self.has_facets
            or self.sent_back_to
            or self.assigned_to
        )

    def but(self, **changes: Any) -> "ConversationFilter":
        """The same filter with some conditions changed."""
        return replace(self, **changes)

    def sorted_by(self, name: str) -> "ConversationFilter":
        """The same list by this column; upside down where it is sorted by that already, and as it arrived after that."""
        order = {name: f"-{name}", f"-{name}": ""}
        return self.but(sort=order.get(self.sort, name))

    def query_string(self, **more: object) -> str:
        """For links: "?review_state=draft&q=price", or nothing when it leaves nothing out."""
        own = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "dataset_id"}
        own["q"] = own.pop("query").strip()
        text = urlencode({name: str(value) for name, value in {**own, **more}.items() if value})
        return f"?{text}" if text else ""
