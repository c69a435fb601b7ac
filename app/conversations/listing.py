"""A filtered list of conversations: its pages, its counts, and who stands beside whom in it.

A list by review state and outcome is told by indexes. Whatever else is asked for looks at every conversation, so it is
done once, and the rest is told from the ids that it found, in their order.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col, func, select

from app.conversations.filters import ConversationFilter
from app.conversations.models import Conversation, ReviewState, is_visible
from app.unlocked import cached_property


@dataclass(frozen=True)
class Place:
    """Where a conversation stands in a filtered list; `number` counts from 1."""

    number: int
    total: int
    previous_id: int | None
    next_id: int | None


class Listing:
    """The conversations that a filter lets through, in order of arrival."""

    def __init__(self, session: Session, where: ConversationFilter) -> None:
        self._session = session
        self._where = where

    @cached_property
    def counts(self) -> Mapping[ReviewState, int]:
        """Conversations by review state, as far as the rest of the filter lets them through."""
        if not self._where.is_plain:
            found = Counter(state for _id, state, _value in self._found)
            return {state: found[state.value] for state in ReviewState}
        # Counted one by one: asked for groups, SQLite takes the index that is sorted by state and reads every row.
        counts = [
            self._where.but(review_state=state)
            .apply(select(func.count()).select_from(Conversation))
            .scalar_subquery()
            for state in ReviewState
        ]
        return dict(zip(ReviewState, self._session.execute(sa.select(*counts)).one(), strict=True))

    @cached_property
    def total(self) -> int:
        """How many there are in all."""
        state = self._where.review_state
        return self.counts.get(state, 0) if state else sum(self.counts.values())

    def page(self, offset: int, limit: int) -> list[Conversation]:
        """Some of them."""
        if self._where.is_plain:
            # Ids first: an index holds them, so that the dialogues of the pages before this one are not read.
            numbers = self._where.apply(select(Conversation.id)).order_by(col(Conversation.id))
            wanted = list(self._session.exec(numbers.offset(offset).limit(limit)))
        else:
            wanted = list(self._ids[offset : offset + limit])
        # The search text is as long as the dialogue, and no list shows it.
        statement = select(Conversation).where(col(Conversation.id).in_(wanted))
        rows = self._session.exec(statement.options(defer(col(Conversation.search_text))))  # type: ignore[arg-type]
        by_id = {row.id: row for row in rows}
        return [by_id[number] for number in wanted if number in by_id]

    def place_of(self, conversation: Conversation) -> Place:
        """Neighbours in the list; a conversation that left it (just approved, say) still has both."""
        assert conversation.id is not None
        if self._where.is_plain:
            return self._place_by_index(conversation.id)
        ids = self._ids
        before = after = self._position_of(conversation)
        if before < len(ids) and ids[before] == conversation.id:
            after += 1
        return Place(
            before + 1,
            len(ids),
            ids[before - 1] if before else None,
            ids[after] if after < len(ids) else None,
        )

    def _position_of(self, conversation: Conversation) -> int:
        """How many stand before it."""
        own = conversation.id or 0
        if own in self._ids:
            return self._ids.index(own)
        if not self._where.sort:
            return bisect_left(self._ids, own)
        listed = set(self._ids)
        left = (own, conversation.review_state.value, getattr(conversation, self._column))
        others = [row for row in self._found if row[0] in listed]
        return [row[0] for row in self._in_order([*others, left])].index(own)

    def _place_by_index(self, own: int) -> Place:
        ask, where = self._session.exec, self._where
        before = where.apply(select(func.count()).select_from(Conversation)).where(col(Conversation.id) < own)
        previous_id = where.apply(select(func.max(Conversation.id))).where(col(Conversation.id) < own)
        next_id = where.apply(select(func.min(Conversation.id))).where(col(Conversation.id) > own)
        return Place(ask(before).one() + 1, self.total, ask(previous_id).one(), ask(next_id).one())

    @cached_property
    def _found(self) -> list[tuple[int, str, Any]]:
        """Ids, review states and what the list is sorted by, of all that is found, whatever the state; in its order."""
        table = Conversation.metadata.tables[Conversation.__tablename__]
        columns = sa.select(
            table.c.id, sa.type_coerce(table.c.review_state, sa.String), table.c[self._column]
        )
        statement = self._where.but(review_state=None).apply(columns).where(is_visible()).order_by(table.c.id)
        # Past the session, which would make objects of tens of thousands of lines.
        rows = self._session.connection().execute(statement)
        return self._in_order([(number, state, value) for number, state, value in rows])

    @property
    def _column(self) -> str:
        return self._where.sort.removeprefix("-") or "id"

    def _in_order(self, found: list[tuple[int, str, Any]]) -> list[tuple[int, str, Any]]:
        """Sorted here and not by the database, whose order of words depends on where it was installed. What has no
        value comes last, either way round."""
        if not self._where.sort:
            return found
        named = sorted(
            (row for row in found if row[2] not in (None, "")), key=lambda row: (_key(row[2]), row[0])
        )
        if self._where.sort.startswith("-"):
            named.reverse()
        return named + [row for row in found if row[2] in (None, "")]

    @cached_property
    def _ids(self) -> list[int]:
        wanted = self._where.review_state
        return [number for number, state, _value in self._found if wanted is None or state == wanted.value]


# In the order in which work goes on.
_STATES: Final = list(ReviewState)


def _key(value: Any) -> Any:
    if isinstance(value, ReviewState):
        return _STATES.index(value)
    return value.casefold() if isinstance(value, str) else value
