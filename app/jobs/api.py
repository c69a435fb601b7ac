"""REST for jobs: state, events, stop."""

from typing import Annotated

from fastapi import Header, Query, Request
from sse_starlette.sse import EventSourceResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import AppEngine, Db
from app.jobs import service
from app.jobs.models import StopRequest
from app.jobs.schemas import EventOut, EventsOut, JobOut
from app.jobs.stopping import stop_as
from app.jobs.stream import as_dict, stream_events

router = Router(prefix="/api/v1/jobs", tags=["jobs"])
# A sequence number; the upper bound is the databases' largest integer.
After = Annotated[int, Query(ge=0, le=2**62)]


@router.get("/{job_id}")
@needs(Permission.JOB_READ)
def get_job(session: Db, actor: CurrentActor, job_id: int) -> JobOut:
    """State of one job."""
    return JobOut.of(service.require_readable(session, job_id, actor))


@router.get("/{job_id}/events/list")
@needs(Permission.JOB_READ)
def list_events(session: Db, actor: CurrentActor, job_id: int, after: After = 0) -> EventsOut:
    """Events as plain JSON, for clients that do not read streams."""
    service.require_readable(session, job_id, actor)
    events = service.events_after(session, job_id, after)
    return EventsOut(
        events=[EventOut.model_validate(as_dict(event)) for event in events],
        last_seq=events[-1].seq if events else after,
    )


@router.get("/{job_id}/events", response_class=EventSourceResponse)
@needs(Permission.JOB_READ)
def stream_job(
    request: Request,
    engine: AppEngine,
    session: Db,
    actor: CurrentActor,
    job_id: int,
    after: After = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Live events as server-sent events, replayed after `Last-Event-ID`, or else after `after`."""
    service.require_readable(session, job_id, actor)
    return stream_events(engine, job_id, last_event_id, request.app.state.streams, actor, after=after)


@router.post("/{job_id}/stop")
@needs(Permission.JOB_STOP_OWN)
def stop_job(session: Db, actor: CurrentActor, job_id: int, how: StopRequest = StopRequest.CANCEL) -> JobOut:
    """Ask a job to end: `cancel`, or `save` for training that should keep what it has.

    What one started oneself, or one's token did, may always be stopped; others' jobs by engineers.
    """
    return JobOut.of(stop_as(session, actor, service.require_job(session, job_id), how))
