"""What REST shows of jobs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.accounts.who import CreatedByOut
from app.jobs.models import Job, JobKind, JobState, Priority


class JobOut(CreatedByOut):
    """A job as the API shows it. `device_wanted` is where it may run, `device` where it runs or ran, of kinds that need one."""

    id: int
    kind: JobKind
    state: JobState
    status: str
    phase: str
    attempt: int
    error: str | None
    error_code: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    priority: Priority
    device_wanted: str
    device: str | None

    @classmethod
    def of(cls, job: Job) -> "JobOut":
        """From the stored row, with the error in the reader's language."""
        values = {name: getattr(job, name) for name in cls.model_fields if name != "error"}
        return cls.model_validate({**values, "error": job.error_text or None})


class EventOut(BaseModel):
    """Something that happened to a job. Further fields are those of its kind's payload (app.jobs.events.PAYLOADS); of a
    log event, `message` is its sentence in the reader's language."""

    model_config = ConfigDict(extra="allow")

    seq: int
    kind: str
    at: str

    @property
    def payload(self) -> dict[str, Any]:
        """The fields of its kind."""
        return self.model_extra or {}


class EventsOut(BaseModel):
    """A page of events in order; ask again with `after` = the last `seq`."""

    events: list[EventOut]
    last_seq: int
