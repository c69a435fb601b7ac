"""Review of many conversations at once, in short pieces.

Each conversation is a decision of its own, so lists show the ones that are done; what must not take half of it for the
whole (freezing, archiving, deleting) waits until the operation is done. One whose process died is brought to its end.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations import revisions
from app.conversations.messages import problems_before_approval
from app.conversations.models import Conversation, ConversationRevision, ReviewState
from app.conversations.review import CHECKED, WAITING, require_members, require_reason, waiting_ids
from app.conversations.service import set_review, stamp, unset_review
from app.core.errors import Conflict
from app.core.pieces import in_batches, piece, polite_piece
from app.datasets import operations
from app.datasets.models import DatasetOperation, OperationDetails, OperationKind
from app.datasets.operations import Mine
from app.datasets.service import require_writable
from app.sentences import N_

PIECE: Final = 100
Refused = list[tuple[int, str]]


def review_many(
    session: Session,
    dataset_id: int,
    conversation_ids: Sequence[int] | None,
    actor: Actor,
    state: ReviewState | None,
    reason: str | None = None,
) -> tuple[int, Refused]:
    """Review the named conversations of a dataset, or all that nobody has decided on when none are named. Commits in
    pieces. As state None undoes the review: each waits again as it did before.

    How many changed, and for the others (id, why not) as untranslated messages. Raises NotFound for one that is not in
    the dataset, Conflict for an archived dataset or one that is being changed as a whole.
    """
    reason = require_reason(state, reason)
    with piece(session, read_only=True):
        ids = sorted(set(waiting_ids(session, dataset_id) if conversation_ids is None else conversation_ids))
        require_members(session, dataset_id, ids)
    with piece(session):
        require_writable(session, dataset_id)
        operations.refuse_under_way(session, dataset_id)
        if len(ids) <= PIECE:
            return _review(session, ids, actor, state, reason)
        details = OperationDetails(state=state and state.value, reason=reason, ids=ids)
        operation = operations.begin(
            session, dataset_id, OperationKind.REVIEW, actor, total=len(ids), details=details
        )
    return _review_all(session, operation, ids, actor, state, reason)


def are_waiting(session: Session, conversation_ids: Sequence[int] | None) -> bool:
    """Whether nobody has decided on any of these yet; none named means all of which that is true."""
    if conversation_ids is None:
        return True
    statement = select(func.count()).where(
        col(Conversation.id).in_(conversation_ids), col(Conversation.review_state).not_in(WAITING)
    )
    return session.exec(statement).one() == 0


def undo_approvals(
    session: Session, dataset_id: int, actor: Actor, since: datetime, until: datetime
) -> tuple[int, Refused]:
    """Take back what this person approved in the dataset between two moments, and nobody changed since.

    As `review_many`. Raises Conflict where nothing is left of it.
    """
    with piece(session, read_only=True):
        statement = select(Conversation.id).where(
            Conversation.dataset_id == dataset_id,
            col(Conversation.review_state) == ReviewState.APPROVED,
            Conversation.reviewed_by_user_id == actor.who.user_id,
            Conversation.reviewed_by == actor.who.name,
            col(Conversation.reviewed_at).between(since, until),
        )
        ids = [found for found in session.exec(statement) if found is not None]
    if not ids:
        raise Conflict(N_("Nothing is left to undo: they were reviewed or changed again."))
    return review_many(session, dataset_id, ids, actor, None)


def go_on(session: Session, mine: Mine, operation: DatasetOperation) -> None:
    """Bring a review to its end whose process died; what it had done is left as it is."""
    wanted = operation.details
    _review_all(
        session,
        mine,
        wanted["ids"][operation.done :],
        operations.actor_of(operation),
        ReviewState(wanted["state"]) if wanted["state"] else None,
        wanted["reason"],
    )


def _review_all(
    session: Session,
    operation: Mine,
    ids: Sequence[int],
    actor: Actor,
    state: ReviewState | None,
    reason: str | None,
) -> tuple[int, Refused]:
    changed, refused = 0, Refused()
    for batch in in_batches(ids, PIECE):
        with polite_piece(session):
            operation.step(session, len(batch))
            more_changed, more_refused = _review(session, batch, actor, state, reason)
        changed += more_changed
        refused += more_refused
    with piece(session):
        operation.forget(session)
    return changed, refused


def _review(
    session: Session, ids: Sequence[int], actor: Actor, state: ReviewState | None, reason: str | None
) -> tuple[int, Refused]:
    """One piece of it."""
    changed = 0
    rows = _locked(session, ids)
    refused: Refused = [(gone, N_("It was deleted meanwhile.")) for gone in sorted(set(ids) - rows.keys())]
    kept = _ids_with_current_revision(session, rows)
    lines: list[Any] = []
    for number, found in rows.items():
        problems = problems_before_approval(found.messages) if state in CHECKED else []
        if problems:
            refused.append((number, problems[0]))
        elif found.review_state is not state:
            if number not in kept:
                lines.append(revisions.first_revision(found))
            action = state.value if state else "undo"
            _decide(found, state, reason, actor)
            stamp(found, actor)
            lines += [found, revisions.revision_of(found, action, actor.who)]
            record(session, actor, f"conversation.{action}", f"conversation/{number}")
            changed += 1
    session.add_all(lines)
    session.flush()
    return changed, refused


def _decide(found: Conversation, state: ReviewState | None, reason: str | None, actor: Actor) -> None:
    if state is None:
        unset_review(found)
    else:
        set_review(found, state, reason, actor)


def _locked(session: Session, ids: Sequence[int]) -> dict[int, Conversation]:
    """The rows in order of id, so that two reviewers at work on the same ones wait instead of deadlocking."""
    statement = (
        select(Conversation)
        .where(col(Conversation.id).in_(ids))
        .order_by(col(Conversation.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {found.id: found for found in session.exec(statement) if found.id is not None}


def _ids_with_current_revision(session: Session, ids: Iterable[int | None]) -> set[int]:
    statement = (
        select(ConversationRevision.conversation_id)
        .join(Conversation, col(Conversation.id) == ConversationRevision.conversation_id)
        .where(
            col(ConversationRevision.conversation_id).in_(list(ids)),
            ConversationRevision.version == Conversation.version,
        )
    )
    return set(session.exec(statement))
