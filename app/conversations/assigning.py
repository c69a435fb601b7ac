"""Whose work a conversation is: given to one person, or shared out among several.

This says nothing about the dialogue, so it makes no revision and is in nobody's way who is just typing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from app.accounts.models import LOCAL_USER, User
from app.accounts.service import Actor, record
from app.conversations.counts import DatasetCounts
from app.conversations.models import Conversation, ReviewState
from app.conversations.review import require_members
from app.core.errors import Invalid
from app.core.pieces import in_batches, piece, polite_piece
from app.datasets.service import require_writable
from app.sentences import N_

PIECE: Final = 500


@dataclass(frozen=True)
class Worker:
    """Somebody to whom conversations can be given."""

    user_id: int
    name: str


@dataclass(frozen=True)
class Workload:
    """The conversations of a dataset that are one person's by review state; `user_id` None: nobody's."""

    user_id: int | None
    name: str
    counts: DatasetCounts


def workers(session: Session) -> list[Worker]:
    """Everybody who can sign in, by name."""
    statement = select(User).where(col(User.is_active), User.name != LOCAL_USER).order_by(col(User.name))
    return [Worker(user.id or 0, user.name) for user in session.exec(statement)]


def assign(
    session: Session,
    dataset_id: int,
    conversation_ids: Sequence[int] | None,
    user_ids: Sequence[int],
    actor: Actor,
) -> int:
    """Give conversations of a dataset to these people, in turn; to nobody where none is named. No conversations named:
    those that are nobody's and wait for an annotator. Commits in pieces. How many were given.

    Raises Invalid for somebody who cannot sign in, NotFound for a conversation that is not in the dataset, Conflict for an
    archived dataset.
    """
    with piece(session, read_only=True):
        _require_workers(session, user_ids)
        if conversation_ids is None:
            if not user_ids:
                raise Invalid(N_("Name at least one person to share them out among."), field="user_ids")
            ids = _nobodys(session, dataset_id)
        else:
            ids = sorted(set(conversation_ids))
            require_members(session, dataset_id, ids)
    with piece(session):
        require_writable(session, dataset_id)
        record(session, actor, "conversation.assign", f"dataset/{dataset_id}")
    people: list[int | None] = [*dict.fromkeys(user_ids)]
    people = people or [None]
    for place, person in enumerate(people):
        for batch in in_batches(ids[place :: len(people)], PIECE):
            with polite_piece(session):
                _give(session, batch, person)
    return len(ids)


def _give(session: Session, ids: Sequence[int], person: int | None) -> None:
    given = update(Conversation).where(col(Conversation.id).in_(ids))
    session.execute(given.values(assigned_to_user_id=person))
    if person is not None:
        # Whoever gets what was sent back is who finds it on the home page.
        sent_back = given.where(col(Conversation.review_state) == ReviewState.REJECTED)
        session.execute(sent_back.values(sent_back_to_user_id=person))


def _require_workers(session: Session, user_ids: Sequence[int]) -> None:
    known = {worker.user_id for worker in workers(session)}
    for user_id in user_ids:
        if user_id not in known:
            raise Invalid(N_("Nobody who can sign in has the number %(id)d."), field="user_ids", id=user_id)


def _nobodys(session: Session, dataset_id: int) -> list[int]:
    statement = (
        select(Conversation.id)
        .where(
            Conversation.dataset_id == dataset_id,
            col(Conversation.review_state) == ReviewState.DRAFT,
            col(Conversation.assigned_to_user_id).is_(None),
        )
        .order_by(col(Conversation.id))
    )
    return [found for found in session.exec(statement) if found is not None]


def workloads(session: Session, dataset_id: int) -> list[Workload]:
    """Who has how many conversations of the dataset, by name; nobody's come last."""
    statement = (
        select(Conversation.assigned_to_user_id, Conversation.review_state, func.count())
        .where(Conversation.dataset_id == dataset_id)
        .group_by(col(Conversation.assigned_to_user_id), col(Conversation.review_state))
    )
    found: dict[int | None, dict[ReviewState, int]] = {}
    for user_id, state, count in session.exec(statement):
        found.setdefault(user_id, {})[ReviewState(state)] = count
    names = names_of(session, [user_id for user_id in found if user_id is not None])
    lines = [
        Workload(user_id, names.get(user_id or 0, ""), DatasetCounts.by_state(counts))
        for user_id, counts in found.items()
    ]
    return sorted(lines, key=lambda line: (line.user_id is None, line.name.casefold()))


def names_of(session: Session, user_ids: Sequence[int]) -> dict[int, str]:
    """What these people are called."""
    statement = select(User.id, User.name).where(col(User.id).in_(set(user_ids)))
    return {number: name for number, name in session.exec(statement) if number is not None}
