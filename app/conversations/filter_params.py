"""The filter of a list as it stands in a page's address. Empty fields, as forms send them, filter nothing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query

from app.conversations.filters import ConversationFilter
from app.conversations.models import ReviewState
from app.dialogue.labels import Outcome


@dataclass(frozen=True)
class FilterParams:
    """Query parameters that every page of the list carries along."""

    review_state: ReviewState | Literal[""] = ""
    outcome: Outcome | Literal[""] = ""
    q: Annotated[str, Query(max_length=200)] = ""

    def within(self, dataset_id: int) -> ConversationFilter:
        """The filter on one dataset."""
        return ConversationFilter(dataset_id, self.review_state or None, self.outcome or None, self.q)


Filter = Annotated[FilterParams, Depends()]
