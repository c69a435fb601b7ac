"""Review of one conversation: handing in, discarding, approving, rejecting with a reason, reopening, and undoing a decision."""

from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, col, select

from app.accounts.permissions import Permission
from app.accounts.service import Actor, record
from app.conversations.messages import problems_before_approval
from app.conversations.models import Conversation, ReviewState
from app.conversations.service import change, require_conversation, set_review, unset_review
from app.core.errors import Invalid, NotFound
from app.sentences import N_

_BATCH: Final = 200
# What no reviewer has decided on yet.
WAITING: Final = (ReviewState.DRAFT, ReviewState.HANDED_IN)
# What an annotator decides.
OWN: Final = (*WAITING, ReviewState.DISCARDED)
# What must be able to teach something.
CHECKED: Final = (ReviewState.HANDED_IN, ReviewState.APPROVED)


def review(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    state: ReviewState,
    reason: str | None = None,
) -> Conversation:
    """Hand in, discard, approve, reject with a reason, or reopen. Handing in, also what was sent back, discarding what is
    not approved, and taking either back need no reviewer.

    Raises Refused, and Invalid when it could not teach anything.
    """
    _require_permission(session, conversation_id, actor, state)
    reason = require_reason(state, reason)

    def apply(conversation: Conversation) -> None:
        problems = problems_before_approval(conversation.messages) if state in CHECKED else []
        if problems:
            raise Invalid(problems[0])
        if (conversation.review_state, conversation.review_reason) != (state, reason):
            set_review(conversation, state, reason, actor)

    conversation = change(session, conversation_id, expected_version, actor, state.value, apply)
    record(session, actor, f"conversation.{state.value}", f"conversation/{conversation_id}")
    return conversation


def undo(session: Session, conversation_id: int, expected_version: int, actor: Actor) -> Conversation:
    """Take back the decision that led to this version: it waits again as it did before.

    Raises Refused, and Conflict once it has changed.
    """
    found = require_conversation(session, conversation_id)
    waits = found.review_state in WAITING
    own = found.review_state in OWN
    actor.require(Permission.CONVERSATION_HAND_IN if own else Permission.CONVERSATION_REVIEW)

    def apply(conversation: Conversation) -> None:
        if waits:
            set_review(conversation, ReviewState.DRAFT, None, None)
        else:
            unset_review(conversation)

    conversation = change(session, conversation_id, expected_version, actor, "undo", apply)
    record(session, actor, "conversation.undo", f"conversation/{conversation_id}")
    return conversation


def _require_permission(session: Session, conversation_id: int, actor: Actor, state: ReviewState) -> None:
    """Until somebody has decided it is the annotator's; whoever sent it back has said what to change, and the annotator
    who changed it may say so."""
    before = require_conversation(session, conversation_id).review_state
    own = before is not ReviewState.APPROVED and state in OWN
    actor.require(Permission.CONVERSATION_HAND_IN if own else Permission.CONVERSATION_REVIEW)


def require_reason(state: ReviewState | None, reason: str | None) -> str | None:
    """The reason without what is around it, if any. Raises Invalid when a rejection has none."""
    reason = (reason or "").strip() or None
    if state is ReviewState.REJECTED and reason is None:
        raise Invalid(N_("Say why, so that the annotator knows what to change."), field="reason")
    return reason


def waiting_ids(session: Session, dataset_id: int) -> list[int]:
    """Ids of all conversations that nobody has decided on: drafts, and what was handed in."""
    statement = select(Conversation.id).where(
        Conversation.dataset_id == dataset_id, col(Conversation.review_state).in_(WAITING)
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
