"""Whether a dataset has a dialogue already: the one rule of imports, REST and pages.

Two conversations are duplicates when the same is said in them with the same tools (`words_hash`), whatever their
train flags, labels and review. Duplicates from before this rule stay until somebody changes their words.
"""

from collections.abc import Collection
from http import HTTPStatus

from sqlmodel import Session, col, select

from app.conversations.models import Conversation
from app.core.errors import StudioError
from app.datasets.models import Dataset
from app.dialogue.conversation import Conversation as Dialogue
from app.dialogue.hashes import questions_hash, says_something, words_hash
from app.sentences import N_


class Duplicate(StudioError):
    """The dataset has a conversation in which the same is said."""

    status = HTTPStatus.CONFLICT


def known_words(session: Session, dataset_id: int, among: Collection[str]) -> set[str]:
    """Which of these words hashes conversations of the dataset have."""
    statement = select(Conversation.words_hash).where(
        Conversation.dataset_id == dataset_id, col(Conversation.words_hash).in_(among)
    )
    return set(session.exec(statement))


def known_questions(session: Session, dataset_id: int, among: Collection[str]) -> dict[str, int]:
    """Which of these hashes of what is asked conversations of the dataset have, and which: the newest of several."""
    statement = select(Conversation.questions_hash, Conversation.id).where(
        Conversation.dataset_id == dataset_id,
        Conversation.questions_hash != "",
        col(Conversation.questions_hash).in_(among),
    )
    rows = session.exec(statement.order_by(col(Conversation.id)))
    return {asked: found for asked, found in rows if found is not None}


def find_same_questions(session: Session, dataset_id: int, dialogue: Dialogue) -> int | None:
    """The newest conversation of the dataset in which the same is asked and something else is answered."""
    asked = questions_hash(dialogue)
    if not asked:
        return None
    statement = select(Conversation.id).where(
        Conversation.dataset_id == dataset_id,
        Conversation.questions_hash == asked,
        Conversation.words_hash != words_hash(dialogue),
    )
    return session.exec(statement.order_by(col(Conversation.id).desc()).limit(1)).first()


def refuse_duplicate(session: Session, dataset_id: int, dialogue: Dialogue, *, of: int | None = None) -> None:
    """Raises Duplicate naming the conversation that is there already. `of` is the one that is being changed."""
    if not says_something(dialogue["messages"]):
        return
    # Until this transaction ends nobody else may add or change words here, so that two cannot come in side by side.
    session.exec(select(Dataset.id).where(Dataset.id == dataset_id).with_for_update(key_share=True)).first()
    statement = select(Conversation.id).where(
        Conversation.dataset_id == dataset_id, Conversation.words_hash == words_hash(dialogue)
    )
    if of is not None:
        statement = statement.where(Conversation.id != of)
    found = session.exec(statement.order_by(col(Conversation.id)).limit(1)).first()
    if found is not None:
        raise Duplicate(
            N_(
                "This dataset has the same dialogue already: conversation %(id)d. Change a word, or keep only "
                "that one."
            ),
            code="duplicate",
            field="messages",
            id=found,
        )
