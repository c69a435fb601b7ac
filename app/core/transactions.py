"""What has to wait until a transaction is committed: bells for workers, files that nothing needs any more.

`after_commit` hangs on the session's own events, so that requests, workers and scripts are one way.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.core.logging import get_logger

logger = get_logger(__name__)
Action = Callable[[], None]
# In `session.info`: what waits, each beside the transaction or savepoint it was asked in; and what is due.
_WAITING: Final = "after_commit.waiting"
_DUE: Final = "after_commit.due"


def after_commit(session: Session, action: Action) -> None:
    """Run `action` once the session's outermost transaction is committed and its connection given back.

    Never when that transaction, or the savepoint in which this was called, is rolled back or closed without a
    commit. What was promised is stored by then: an action that fails is logged, the others run. The session may
    not be used in an action.
    """
    transaction = session.get_nested_transaction() or session.get_transaction() or session.begin()
    session.info.setdefault(_WAITING, []).append((transaction, action))


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    """Of a savepoint: what waited for it now waits for what is around it. Of the outermost transaction: all is due."""
    waiting: list[tuple[SessionTransaction, Action]] = session.info.get(_WAITING, [])
    if not waiting:
        return
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        session.info[_DUE] = [action for _transaction, action in session.info.pop(_WAITING)]
        return
    around = savepoint.parent
    assert around is not None
    session.info[_WAITING] = [(around if asked is savepoint else asked, action) for asked, action in waiting]


@event.listens_for(Session, "after_transaction_end")
def _ended(session: Session, transaction: SessionTransaction) -> None:
    """However it ended: what still waits for it will never be due."""
    waiting: list[tuple[SessionTransaction, Action]] = session.info.pop(_WAITING, [])
    left = [(asked, action) for asked, action in waiting if asked is not transaction]
    if left:
        session.info[_WAITING] = left
    if transaction.parent is not None:
        return
    for action in session.info.pop(_DUE, []):
        try:
            action()
        except Exception:
            logger.exception("what waited for a commit failed")
