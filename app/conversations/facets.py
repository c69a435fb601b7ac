"""The values that the conversations of a dataset have, each with how many have it: what a list can be narrowed to."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from app.conversations.models import Conversation

_COUNTED: Final = {
    "stage": Conversation.stage,
    "objection": Conversation.objection,
    "language": Conversation.language,
    "product": Conversation.product,
    "editor": Conversation.updated_by,
    "brought_by": Conversation.staged_by,
}
# Tags lie in the rows themselves, so that only the newest are looked through.
_TAGGED_ROWS: Final = 2000
# More than this nobody chooses from; they can still be searched for.
_MOST: Final = 200


@dataclass(frozen=True)
class Facets:
    """For each name of the filter its values with their counts, the most frequent first; tags without counts."""

    counts: Mapping[str, list[tuple[str | int, int]]]
    tags: list[str]


def facets_of(session: Session, dataset_id: int) -> Facets:
    """Of the whole dataset, whatever the list leaves out. One pass over an index that holds all of it but the tags."""
    columns = [col(column) for column in _COUNTED.values()]
    statement = (
        select(*columns, func.count()).where(Conversation.dataset_id == dataset_id).group_by(*columns)  # type: ignore[call-overload]
    )
    found: dict[str, Counter[str | int]] = {name: Counter() for name in _COUNTED}
    for *values, count in session.exec(statement):
        for name, value in zip(_COUNTED, values, strict=True):
            if value not in (None, ""):
                found[name][value] += count
    return Facets(
        {name: counter.most_common(_MOST) for name, counter in found.items()}, _tags(session, dataset_id)
    )


def _tags(session: Session, dataset_id: int) -> list[str]:
    newest = (
        select(Conversation.id)
        .where(Conversation.dataset_id == dataset_id)
        .order_by(col(Conversation.id).desc())
        .limit(_TAGGED_ROWS)
    )
    spelt = sa.cast(col(Conversation.tags), sa.Text)
    statement = select(spelt).where(col(Conversation.id).in_(newest)).distinct()
    counted = Counter(tag for text in session.exec(statement) for tag in json.loads(text))
    return [tag for tag, _ in counted.most_common(_MOST)]
