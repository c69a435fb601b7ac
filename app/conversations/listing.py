"""A filtered list of conversations: its pages, its counts, and who stands beside whom in it.

Without a search everything is told by indexes. A search looks through every text, so it is done once and the
rest is told from the ids that it found.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

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
        if self._where.has_query:
            found = Counter(state for _id, state in self._found)
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
        if self._where.has_query:
            ids = self._ids[offset : offset + limit]
            statement = select(Conversation).where(col(Conversation.id).in_(ids))
        else:
            # Ids first: an index holds them, so that the dialogues of the pages before this one are not read.
            numbers = self._where.apply(select(Conversation.id)).order_by(col(Conversation.id))
            wanted = numbers.offset(offset).limit(limit)
            statement = select(Conversation).where(col(Conversation.id).in_(wanted))
        statement = statement.order_by(col(Conversation.id))
        # The search text is as long as the dialogue, and no list shows it.
        return list(self._session.exec(statement.options(defer(col(Conversation.search_text)))))  # type: ignore[arg-type]

    def place_of(self, conversation: Conversation) -> Place:
        """Neighbours in the list; a conversation that left it (just approved, say) still has both."""
        assert conversation.id is not None
        if not self._where.has_query:
            return self._place_by_index(conversation.id)
        ids = self._ids
        before, after = bisect_left(ids, conversation.id), bisect_right(ids, conversation.id)
        return Place(
            before + 1,
            len(ids),
            ids[before - 1] if before else None,
            ids[after] if after < len(ids) else None,
        )

    def _place_by_index(self, own: int) -> Place:
        ask, where = self._session.exec, self._where
        before = where.apply(select(func.count()).select_from(Conversation)).where(col(Conversation.id) < own)
        previous_id = where.apply(select(func.max(Conversation.id))).where(col(Conversation.id) < own)
        next_id = where.apply(select(func.min(Conversation.id))).where(col(Conversation.id) > own)
        return Place(ask(before).one() + 1, self.total, ask(previous_id).one(), ask(next_id).one())

    @cached_property
    def _found(self) -> list[tuple[int, str]]:
        """Ids and review states of all that the search finds, whatever their state."""
        table = Conversation.metadata.tables[Conversation.__tablename__]
        columns = sa.select(table.c.id, sa.type_coerce(table.c.review_state, sa.String))
        statement = self._where.but(review_state=None).apply(columns).where(is_visible()).order_by(table.c.id)
        # Past the session, which would make objects of tens of thousands of lines.
        return [(number, state) for number, state in self._session.connection().execute(statement)]

    @cached_property
    def _ids(self) -> list[int]:
        wanted = self._where.review_state
        return [number for number, state in self._found if wanted is None or state == wanted.value]
