"""Conditions on conversations, spelled once: for lists, addresses, the form that freezes a version, and REST."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from app.accounts.who import NAME_LENGTH
from app.core.database import LARGEST_ID
from app.dialogue.labels import LABELS, Outcome

# A row's id, where there is one.
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Words = Annotated[
    str,
    Field(max_length=200, description="Words in the messages, the product, the tags or the editor's name."),
]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions that are one text; empty ones narrow nothing. Pydantic's models inherit the limits with the fields."""

    stage: Annotated[str, Field(max_length=LABELS["stage"])] = ""
    objection: Annotated[str, Field(max_length=LABELS["objection"])] = ""
    language: Annotated[str, Field(max_length=LABELS["language"])] = ""
    product: Annotated[str, Field(max_length=LABELS["product"])] = ""
    tag: Annotated[str, Field(max_length=LABELS["tags"])] = ""
    editor: Annotated[str, Field(max_length=NAME_LENGTH, description="Who changed it last.")] = ""


@dataclass(frozen=True, kw_only=True)
class SentConditions(Conditions):
    """All that chooses conversations, as addresses and forms send it: what is empty narrows nothing."""

    outcome: Outcome | Literal[""] = ""
    q: Words = ""
    brought_by: Annotated[
        Id | Literal[""], Field(description="`operation_id` of the import that brought it.")
    ] = ""
