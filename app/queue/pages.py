"""The page of the queue. Forms that work without scripts, and swap the board with them."""

from typing import Annotated, Final

from fastapi import Form, Request, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import is_htmx, render, see, toast
from app.core.web import Db
from app.jobs import order
from app.jobs.models import Priority, StopRequest
from app.jobs.order import REASON_LENGTH, Move
from app.jobs.service import require_job
from app.jobs.stopping import stop_as
from app.queue.board import read_board
from app.queue.subjects import KIND_WORDS
from app.runs.service import require_run_of
from app.runs.stopping import GOES_ON, resume_run
from app.sentences import N_

router = Router(prefix="/queue", include_in_schema=False)
_QUEUE_WORDS: Final = {
    "training": N_("Training and evaluation"),
    "default": N_("Imports, checks and exports"),
    "interactive": N_("Chats"),
}
_PRIORITY_WORDS: Final = {
    Priority.HIGH: N_("High"),
    Priority.NORMAL: N_("Normal"),
    Priority.LOW: N_("Low"),
}
_CANCELLED: Final = N_("Asked to cancel the job.")


def _board(request: Request, session: Db, said: str = "") -> Response:
    """The board as it is now; a browser's own navigation is led to the page."""
    if request.method == "POST" and not is_htmx(request):
        return see("/queue")
    context = {
        "board": read_board(session),
        "kind_words": KIND_WORDS,
        "queue_words": _QUEUE_WORDS,
        "priority_words": _PRIORITY_WORDS,
        "reason_length": REASON_LENGTH,
    }
    response = render(request, "queue/_board.html" if is_htmx(request) else "queue/page.html", context)
    if said:
        response.headers.update(toast(gettext(said)))
    return response


@router.get("", response_model=None)
@needs(Permission.QUEUE_READ)
def queue_page(request: Request, session: Db) -> Response:
    """What runs, what waits, who works; the board alone for htmx."""
    return _board(request, session)


@router.post("/jobs/{job_id}/move", response_model=None)
@needs(Permission.QUEUE_ORDER)
def move_job(
    request: Request, session: Db, actor: CurrentActor, job_id: int, where: Annotated[Move, Form()]
) -> Response:
    """Move a waiting job among those of its priority."""
    order.move(session, actor, job_id, where)
    return _board(request, session)


@router.post("/jobs/{job_id}/priority", response_model=None)
@needs(Permission.QUEUE_ORDER)
def set_priority(
    request: Request, session: Db, actor: CurrentActor, job_id: int, priority: Annotated[Priority, Form()]
) -> Response:
    """Give a waiting job another priority."""
    order.set_priority(session, actor, job_id, priority)
    return _board(request, session)


@router.post("/jobs/{job_id}/stop", response_model=None)
@needs(Permission.JOB_STOP_OWN)
def stop_job(request: Request, session: Db, actor: CurrentActor, job_id: int) -> Response:
    """Cancel one's own job, or as an engineer anybody's."""
    stop_as(session, actor, require_job(session, job_id), StopRequest.CANCEL)
    return _board(request, session, _CANCELLED)


@router.post("/jobs/{job_id}/resume", response_model=None)
@needs(Permission.RUN_STOP)
def resume_job(request: Request, session: Db, actor: CurrentActor, job_id: int) -> Response:
    """Let a paused run go on."""
    resume_run(session, actor, require_run_of(session, require_job(session, job_id)))
    return _board(request, session, GOES_ON)


@router.post("/pause", response_model=None)
@needs(Permission.QUEUE_PAUSE)
def pause_queue(
    request: Request,
    session: Db,
    actor: CurrentActor,
    reason: Annotated[str, Form(max_length=REASON_LENGTH, title=N_("Reason, for those who wait"))] = "",
) -> Response:
    """Let no new work start."""
    order.pause(session, actor, reason)
    return _board(request, session)


@router.post("/resume", response_model=None)
@needs(Permission.QUEUE_PAUSE)
def resume_queue(request: Request, session: Db, actor: CurrentActor) -> Response:
    """Let it go on."""
    order.resume(session, actor)
    return _board(request, session)
