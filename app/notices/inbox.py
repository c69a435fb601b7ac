"""What people have not read yet."""

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor
from app.core.database import utc_now
from app.notices.models import Notice


def notices_of(session: Session, actor: Actor, *, limit: int, unread: bool = False) -> list[Notice]:
    """A person's own, the newest first."""
    statement = select(Notice).where(Notice.user_id == actor.user_id)
    if unread:
        statement = statement.where(col(Notice.read_at).is_(None))
    return list(session.exec(statement.order_by(col(Notice.id).desc()).limit(limit)))


def count_unread(session: Session, actor: Actor) -> int:
    """How many of a person's own were not read."""
    statement = select(func.count()).where(Notice.user_id == actor.user_id, col(Notice.read_at).is_(None))
    return session.exec(statement).one()


def read_all(session: Session, actor: Actor) -> None:
    """All of a person's own were read now."""
    session.execute(
        update(Notice)
        .where(col(Notice.user_id) == actor.user_id, col(Notice.read_at).is_(None))
        .values(read_at=utc_now())
    )
