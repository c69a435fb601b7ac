"""Waiting for a job that tells more than is read at once, and goes on telling while it is read."""

from typing import Any, cast

import pytest

from app.client.rest import StudioClient
from app.client.waiting import last_seq, wait_for_pause_or_end
from app.jobs.events import EVENTS_AT_ONCE, EventKind
from app.jobs.models import JobState
from app.jobs.schemas import EventOut, JobOut
from tests.client.test_rest import JOB

TOLD_BEFORE = 2 * EVENTS_AT_ONCE + 3


class QuickJob:
    """What a client sees of a job that tells another step between any two looks; `state` is how it stands at each."""

    def __init__(self, state: JobState) -> None:
        self.state, self.told, self.looks = state, TOLD_BEFORE, 0

    def be_patient(self) -> None:
        """As the client does."""

    def job(self, _job_id: int) -> JobOut:
        return JobOut.model_validate({**JOB, "state": self.state})

    def events(self, _job_id: int, after: int) -> list[EventOut]:
        self.looks += 1
        if self.looks > 10:
            pytest.fail("the job is read on and on")
        found = [_step(seq) for seq in range(after + 1, self.told + 1)][:EVENTS_AT_ONCE]
        self.told += 1
        return found


def _step(seq: int) -> EventOut:
    told: dict[str, Any] = {"kind": EventKind.PROGRESS, "at": "2026-01-01T00:00:00Z", "step": seq}
    return EventOut.model_validate({**told, "seq": seq})


def test_the_last_event_of_a_quick_job_is_found_while_it_goes_on() -> None:
    job = QuickJob(JobState.RUNNING)
    assert TOLD_BEFORE <= last_seq(cast(StudioClient, job), 3) <= job.told


def test_all_that_a_job_told_before_its_end_is_told_however_much_it_is() -> None:
    job, heard = QuickJob(JobState.PAUSED), list[int]()
    wait_for_pause_or_end(cast(StudioClient, job), 3, lambda event: heard.append(event.seq))
    assert heard == list(range(1, len(heard) + 1))
    assert len(heard) >= TOLD_BEFORE
