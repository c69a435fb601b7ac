"""Chats hold what people typed to try a run: their owner's alone, and only for a while."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from sqlalchemy import delete
from sqlmodel import Session, col, select

from app.core.database import utc_now
from app.dialogue.conversation import Message
from app.jobs.models import Job, JobKind
from app.playground.work import ChatPayload

# Shorter texts are said in every second dialogue.
_TELLING_CHARACTERS: Final = 12


def chats_that_repeat(session: Session, messages: Iterable[Message]) -> list[int]:
    """Ids of chats in which a text of these messages was sent word for word; of the messages none is kept."""
    sent = _sent(session)
    found: set[int] = set()
    if sent:
        for message in messages:
            found |= sent.get(str(message.get("content") or "").strip(), set())
    return sorted(found)


def _sent(session: Session) -> dict[str, set[int]]:
    """What was sent in chats, and in which."""
    sent: dict[str, set[int]] = {}
    chats = session.exec(select(Job.id, Job.payload).where(col(Job.kind) == JobKind.CHAT)).all()
    for job_id, payload in chats:
        for said in ChatPayload.stored(payload).messages:
            text = str(said.get("content") or "").strip()
            if job_id is not None and len(text) >= _TELLING_CHARACTERS:
                sent.setdefault(text, set()).add(job_id)
    return sent


def delete_chats(session: Session, job_ids: list[int]) -> None:
    """Questions and answers."""
    if job_ids:
        session.execute(delete(Job).where(col(Job.id).in_(job_ids), col(Job.kind) == JobKind.CHAT))


def expire_chats(session: Session, *, days: int) -> int:
    """Delete what ended longer ago than so many days; how many there were."""
    old = utc_now() - timedelta(days=days)
    gone = session.execute(delete(Job).where(col(Job.kind) == JobKind.CHAT, col(Job.finished_at) < old))
    return int(gone.rowcount)  # type: ignore[attr-defined]
