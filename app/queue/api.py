"""REST for the queue: all of it, moving what waits, pausing. A job is cancelled by `POST /jobs/{id}/stop`."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import Db
from app.jobs import order
from app.queue.board import read_board
from app.queue.schemas import MoveIn, PauseIn, PriorityIn, QueueOut

router = Router(prefix="/api/v1/queue", tags=["queue"])


@router.get("")
@needs(Permission.QUEUE_READ)
def get_queue(session: Db) -> QueueOut:
    """What runs, what waits in order, when it is expected to start, and the workers."""
    return QueueOut.of(read_board(session))


@router.post("/jobs/{job_id}/move")
@needs(Permission.QUEUE_ORDER)
def move_job(session: Db, actor: CurrentActor, job_id: int, body: MoveIn) -> QueueOut:
    """Move a waiting job up, down or to the top of its priority. 409 where it waits no more or is there already."""
    order.move(session, actor, job_id, body.where)
    return QueueOut.of(read_board(session))


@router.post("/jobs/{job_id}/priority")
@needs(Permission.QUEUE_ORDER)
def set_priority(session: Db, actor: CurrentActor, job_id: int, body: PriorityIn) -> QueueOut:
    """Give a waiting job another priority: all of a higher one start before it."""
    order.set_priority(session, actor, job_id, body.priority)
    return QueueOut.of(read_board(session))


@router.post("/pause")
@needs(Permission.QUEUE_PAUSE)
def pause_queue(session: Db, actor: CurrentActor, body: PauseIn | None = None) -> QueueOut:
    """No new work starts but chats, until `resume`; what runs goes on. Pausing again changes nothing."""
    order.pause(session, actor, body.reason if body else "")
    return QueueOut.of(read_board(session))


@router.post("/resume")
@needs(Permission.QUEUE_PAUSE)
def resume_queue(session: Db, actor: CurrentActor) -> QueueOut:
    """Go on where the queue is paused."""
    order.resume(session, actor)
    return QueueOut.of(read_board(session))
