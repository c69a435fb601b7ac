"""Review: approving, rejecting with a reason, reopening; one conversation or many."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.conversations import revisions
from app.conversations.messages import problems_before_approval
from app.conversations.models import Conversation, ConversationRevision, ReviewState
from app.conversations.service import change, set_review, stamp
from app.core.errors import Invalid, NotFound
from app.datasets.archives import refuse_archived
from app.sentences import N_

_BATCH: Final = 200


def review(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    state: ReviewState,
    reason: str | None = None,
) -> Conversation:
    """Approve, reject with a reason, or reopen. Raises Invalid when it could not teach anything."""
    reason = _reason_for(state, reason)

    def apply(conversation: Conversation) -> None:
        problems = problems_before_approval(conversation.messages) if state is ReviewState.APPROVED else []
        if problems:
            raise Invalid(problems[0])
        if (conversation.review_state, conversation.review_reason) != (state, reason):
            set_review(conversation, state, reason, actor)

    conversation = change(session, conversation_id, expected_version, actor, state.value, apply)
    record(session, actor, f"conversation.{state.value}", f"conversation/{conversation_id}")
    return conversation


def review_many(
    session: Session,
    conversation_ids: Sequence[int],
    actor: Actor,
    state: ReviewState,
    reason: str | None = None,
) -> tuple[int, list[tuple[int, str]]]:
    """Review several at once. How many changed, and for the others (id, why not) as untranslated messages."""
    reason = _reason_for(state, reason)
    changed, refused = 0, []
    for batch in _locked_batches(session, conversation_ids):
        for dataset_id in {found.dataset_id for found in batch}:
            refuse_archived(session, dataset_id)
        kept = _ids_with_current_revision(session, [found.id for found in batch])
        for found in batch:
            assert found.id is not None
            problems = problems_before_approval(found.messages) if state is ReviewState.APPROVED else []
            if problems:
                refused.append((found.id, problems[0]))
            elif found.review_state is not state:
                if found.id not in kept:
                    session.add(revisions.first_revision(found))
                set_review(found, state, reason, actor)
                stamp(found, actor)
                session.add_all([found, revisions.revision_of(found, state.value, actor)])
                record(session, actor, f"conversation.{state.value}", f"conversation/{found.id}")
                changed += 1
        session.flush()
    return changed, refused


def _locked_batches(session: Session, ids: Sequence[int]) -> Iterator[Sequence[Conversation]]:
    """The rows in order of id, so that two reviewers at work on the same ones wait instead of deadlocking."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), _BATCH):
        wanted = ordered[start : start + _BATCH]
        statement = (
            select(Conversation)
            .where(col(Conversation.id).in_(wanted))
            .order_by(col(Conversation.id))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        batch = session.exec(statement).all()
        missing = set(wanted) - {found.id for found in batch}
        if missing:
            raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=min(missing))
        yield batch


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


def _reason_for(state: ReviewState, reason: str | None) -> str | None:
    reason = (reason or "").strip() or None
    if state is ReviewState.REJECTED and reason is None:
        raise Invalid(N_("Say why, so that the annotator knows what to change."), field="reason")
    return reason


def draft_ids(session: Session, dataset_id: int) -> list[int]:
    """Ids of all conversations that wait for review."""
    statement = select(Conversation.id).where(
        Conversation.dataset_id == dataset_id, col(Conversation.review_state) == ReviewState.DRAFT
    )
    return [found for found in session.exec(statement) if found is not None]


def require_members(session: Session, dataset_id: int, conversation_ids: Sequence[int]) -> None:
    """Raises NotFound for a conversation that is not (or no longer) in this dataset."""
    wanted = sorted(set(conversation_ids))
    for start in range(0, len(wanted), _BATCH):
        part = wanted[start : start + _BATCH]
        statement = select(Conversation.id).where(
            Conversation.dataset_id == dataset_id, col(Conversation.id).in_(part)
        )
        missing = set(part) - set(session.exec(statement))
        if missing:
            raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=min(missing))
