"""The filter of a list as it stands in an address. Empty fields, as forms send them, filter nothing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import Field

from app.accounts.who import NAME_LENGTH
from app.conversations.filters import SORTS, ConversationFilter
from app.conversations.models import ReviewState
from app.dialogue.labels import LABELS, Outcome

_Id = Annotated[int, Field(ge=1, le=2**31 - 1)] | Literal[""]


@dataclass(frozen=True)
class FilterParams:
    """Query parameters that every page of the list carries along."""

    review_state: ReviewState | Literal[""] = ""
    outcome: Outcome | Literal[""] = ""
    q: Annotated[
        str,
        Query(
            max_length=200, description="Words in the messages, the product, the tags or the editor's name."
        ),
    ] = ""
    stage: Annotated[str, Query(max_length=LABELS["stage"])] = ""
    objection: Annotated[str, Query(max_length=LABELS["objection"])] = ""
    language: Annotated[str, Query(max_length=LABELS["language"])] = ""
    product: Annotated[str, Query(max_length=LABELS["product"])] = ""
    tag: Annotated[str, Query(max_length=LABELS["tags"])] = ""
    editor: Annotated[str, Query(max_length=NAME_LENGTH, description="Who changed it last.")] = ""
    brought_by: Annotated[_Id, Query(description="`operation_id` of the import that brought it.")] = ""
    sent_back_to: Annotated[_Id, Query(description="Id of the person whose work was sent back.")] = ""
    assigned_to: Annotated[
        Annotated[int, Field(ge=1, le=2**31 - 1)] | Literal["", "nobody"],
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
