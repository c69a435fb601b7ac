"""Changes of many conversations at once: written in short pieces, whole or not there for every reader.

An operation is a row that says who changes the dataset and how far it is. Every piece renews its beat; one whose
process died is told by an old beat, and the next who sweeps goes on with it or undoes it. A dataset has one at a time.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import update
from sqlmodel import Session, col, select

from app.accounts.service import Actor
from app.core.database import utc_now
from app.core.errors import Conflict
from app.core.i18n import translate
from app.datasets.models import DatasetOperation, OperationDetails, OperationKind, OperationState
from app.jobs.models import Job
from app.sentences import N_

# In the details of an operation that belongs to a job: its id. Who goes on with it is that job's next attempt.
JOB: Final = "job"
# A piece takes a fraction of a second, and waits at most some seconds for its turn to write.
ABANDONED_AFTER: Final = timedelta(seconds=60)
UNDER_WAY: Final = {
    OperationKind.IMPORT: N_(
        "A file is being imported into this dataset (%(done)d of %(total)d). Try again in a moment."
    ),
    OperationKind.REVIEW: N_(
        "Conversations of this dataset are being reviewed (%(done)d of %(total)d). Try again in a moment."
    ),
    OperationKind.DELETE: N_("This dataset is being deleted."),
}


@dataclass(frozen=True)
class Mine:
    """The right to go on with an operation; it is lost when somebody took its process for dead."""

    id: int
    dataset_id: int
    owner: str
    # A minute early: clocks of several machines differ a little.
    began_at: datetime

    def step(self, session: Session, count: int) -> None:
        """So many conversations more are done, in this transaction. Raises Conflict when the right is lost."""
        self._write(session, done=DatasetOperation.done + count)

    def finish(self, session: Session) -> None:
        """All is done: from the commit on it is there for every reader. Raises Conflict when the right is lost."""
        self._write(session, state=OperationState.DONE)

    def forget(self, session: Session) -> None:
        """It left nothing."""
        self._write(session)
        operation = session.get(DatasetOperation, self.id)
        if operation is not None:
            session.delete(operation)

    def _write(self, session: Session, **values: Any) -> None:
        statement = update(DatasetOperation).where(
            col(DatasetOperation.id) == self.id,
            col(DatasetOperation.owner) == self.owner,
            col(DatasetOperation.state) == OperationState.RUNNING,
        )
        changed = session.execute(
            statement.values(beat_at=utc_now(), **values).execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise Conflict(N_("This took so long that it was taken for dead and undone. Try again."))


def begin(
    session: Session,
    dataset_id: int,
    kind: OperationKind,
    actor: Actor,
    *,
    total: int,
    details: OperationDetails | None = None,
) -> Mine:
    """An operation on a dataset that the caller holds. Raises Conflict while another one is under way."""
    refuse_under_way(session, dataset_id)
    operation = DatasetOperation(
        dataset_id=dataset_id,
        kind=kind,
        owner=secrets.token_hex(16),
        total=total,
        details=details or OperationDetails(),
        actor_id=actor.user_id,
        actor_token_id=actor.token_id,
        actor=actor.name[:80],
        role=actor.role,
    )
    session.add(operation)
    session.flush()
    return _mine(operation)


def under_way(session: Session, dataset_id: int) -> DatasetOperation | None:
    """What is being done to the dataset now, if anything."""
    statement = select(DatasetOperation).where(
        DatasetOperation.dataset_id == dataset_id,
        col(DatasetOperation.state) == OperationState.RUNNING,
    )
    return session.exec(statement.execution_options(populate_existing=True)).first()


def refuse_under_way(session: Session, dataset_id: int, *kinds: OperationKind) -> None:
    """Raises Conflict while an operation (of these kinds; of any, when none is named) is under way."""
    found = under_way(session, dataset_id)
    if found is not None and (not kinds or found.kind in kinds):
        raise Conflict(UNDER_WAY[found.kind], done=found.done, total=found.total)


def said(operation: DatasetOperation) -> str:
    """What is under way, in the reader's language."""
    return translate(UNDER_WAY[operation.kind], {"done": operation.done, "total": operation.total})


def take_abandoned(
    session: Session, *, older_than: timedelta = ABANDONED_AFTER
) -> list[tuple[Mine, DatasetOperation]]:
    """Operations whose process died, now ours; those of jobs only once the job has ended."""
    limit = utc_now() - older_than
    statement = select(DatasetOperation).where(
        col(DatasetOperation.state) == OperationState.RUNNING, col(DatasetOperation.beat_at) <= limit
    )
    taken = []
    for operation in session.exec(statement.with_for_update(skip_locked=True)).all():
        job = session.get(Job, operation.details[JOB]) if JOB in operation.details else None
        if job is None or job.is_final:
            taken.append((take(session, operation), operation))
    return taken


def take(session: Session, operation: DatasetOperation) -> Mine:
    """The right to go on with an operation, which whoever had it loses."""
    operation.owner = secrets.token_hex(16)
    operation.beat_at = utc_now()
    session.add(operation)
    session.flush()
    return _mine(operation)


def actor_of(operation: DatasetOperation) -> Actor:
    """Who began it."""
    token_id = operation.actor_token_id
    via: Literal["session", "token"] = "token" if token_id else "session"
    return Actor(operation.actor_id, operation.actor, operation.role, via, token_id)


def _mine(operation: DatasetOperation) -> Mine:
    assert operation.id is not None
    return Mine(
        operation.id, operation.dataset_id, operation.owner, operation.started_at - timedelta(minutes=1)
    )
