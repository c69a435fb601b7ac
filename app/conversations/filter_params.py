"""The filter of a list as it stands in an address. Empty fields, as forms send them, filter nothing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query

from app.conversations.conditions import Id, SentConditions
from app.conversations.filters import SORTS, ConversationFilter
from app.conversations.models import ReviewState


@dataclass(frozen=True, kw_only=True)
class FilterParams(SentConditions):
    """Query parameters that every page of the list carries along."""

    review_state: ReviewState | Literal[""] = ""
    sent_back_to: Annotated[
        Id | Literal[""], Query(description="Id of the person whose work was sent back.")
    ] = ""
    assigned_to: Annotated[
        Id | Literal["", "nobody"],
        Query(description="Id of the person whose work it is, or `nobody`."),
    ] = ""
    sort: Annotated[
        str,
        Query(
            pattern=f"^(-?({'|'.join(SORTS)}))?$",
            description="A column, `-` before it for the other way round; the order of arrival without.",
        ),
    ] = ""

    def within(self, dataset_id: int) -> ConversationFilter:
        """The filter on one dataset."""
        return ConversationFilter(
            dataset_id,
            review_state=self.review_state or None,
            outcome=self.outcome or None,
            query=self.q,
            stage=self.stage.strip(),
            objection=self.objection.strip(),
            language=self.language.strip(),
            product=self.product.strip(),
            tag=self.tag.strip(),
            editor=self.editor.strip(),
            brought_by=self.brought_by or None,
            sent_back_to=self.sent_back_to or None,
            assigned_to=self.assigned_to or None,
            sort=self.sort,
        )


Filter = Annotated[FilterParams, Depends()]
