"""Waiting for a job: its events in order until it ends, through short failures of the connection."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from app.client.rest import StudioClient
from app.core.console import CommandFailed, say
from app.core.i18n import gettext as _
from app.jobs.events import EVENTS_AT_ONCE, EventKind
from app.jobs.models import JobState
from app.jobs.schemas import EventOut, JobOut

POLL_SECONDS: Final = 0.7
QUEUED_HINT_SECONDS: Final = 30.0
Listener = Callable[[EventOut], None]


class JobEnded(CommandFailed):
    """The job did not succeed. `job` is how it ended."""

    def __init__(self, message: str, job: JobOut) -> None:
        super().__init__(message)
        self.job = job


def last_seq(client: StudioClient, job_id: int) -> int:
    """Number of the job's last event so far: what is waited for from now on comes after it."""
    return max((event.seq for event in _told_so_far(client, job_id, 0)), default=0)


def _told_so_far(client: StudioClient, job_id: int, after: int) -> Iterator[EventOut]:
    """Every event of the job `after` the one of that number. A page that is not full is the last: a quick job tells more while it is
    read, and whoever reads until a page is empty may never come to an end."""
    full = True
    while full:
        events = client.events(job_id, after)
        yield from events
        full = len(events) >= EVENTS_AT_ONCE
        after = events[-1].seq if events else after


def events_until_end(client: StudioClient, job_id: int, after: int = 0) -> Iterator[EventOut]:
    """Every event of the job `after` the one of that number, then as they happen; ends with the job. Restarts of the server are
    waited through, and so are pauses."""
    client.be_patient()
    seq, started = after, False
    begun = time.monotonic()
    while True:
        events = client.events(job_id, seq)
        for event in events:
            seq = event.seq
            yield event
            if event.kind == EventKind.STATE:
                started = started or event.payload["state"] != JobState.QUEUED
                if JobState(event.payload["state"]).is_final:
                    return
                if event.payload["state"] == JobState.PAUSED:
                    say(_("It was paused, and this waits until it goes on."))
        if not started and time.monotonic() - begun > QUEUED_HINT_SECONDS:
            started = True
            say(
                _(
                    "Still waiting for its turn. If no other work is under way, check that a worker is running."
                )
            )
        if not events:
            time.sleep(POLL_SECONDS)


def wait_for_pause_or_end(client: StudioClient, job_id: int, listen: Listener) -> None:
    """Until no worker is at the job any more, because it was paused or has ended; with all its events told until then."""
    client.be_patient()
    seq = 0
    while True:
        job = client.job(job_id)
        for event in _told_so_far(client, job_id, seq):
            seq = event.seq
            listen(event)
        if job.state is JobState.PAUSED or job.state.is_final:
            return
        time.sleep(POLL_SECONDS)


def wait_for_job(client: StudioClient, job: JobOut, listen: Listener, *, what: str, after: int = 0) -> JobOut:
    """The job once it has succeeded, with its events from `after` on told. Raises JobEnded saying that `what` failed, and why."""
    for event in events_until_end(client, job.id, after):
        listen(event)
    return require_success(client.job(job.id), what=what)


def require_success(job: JobOut, *, what: str) -> JobOut:
    """The ended job, or JobEnded."""
    if job.state is JobState.CANCELLED:
        raise JobEnded(_("%(what)s was cancelled.") % {"what": what}, job)
    if job.state is not JobState.SUCCEEDED:
        reason = job.error or _("no reason was given")
        raise JobEnded(_("%(what)s failed: %(reason)s") % {"what": what, "reason": reason}, job)
    return job
