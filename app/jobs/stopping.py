"""What people ask of a job under way: to end, to keep what it has, to pause, to go on."""

from typing import Final

from sqlalchemy import exists, update
from sqlmodel import Session, col, select

from app.accounts.permissions import Permission
from app.accounts.service import Actor, record
from app.core.database import database_now
from app.core.errors import Conflict, Invalid, Refused
from app.jobs.bell import ring_after_commit
from app.jobs.events import EventKind
from app.jobs.models import Job, JobEvent, JobKind, JobState, StopRequest
from app.jobs.service import append_events, changed_one, fresh, id_of, require_job
from app.sentences import N_

_ENDED: Final = N_("This has already ended.")
_NOT_PAUSED: Final = N_("It is not paused.")
_STILL_PAUSING: Final = N_("It is being paused: let it go on once it is.")
_PAUSED: Final = N_("It is paused already.")
_ENDING: Final = N_("It was asked to end already: it cannot be paused now.")


def request_stop(session: Session, job_id: int, how: StopRequest) -> Job:
    """Ask a job to end, or to pause. One that no worker is at is cancelled or paused at once; where it is to be saved and
    has a checkpoint, the next worker makes that the result. Raises Conflict for an ended job, and where it has been asked
    for another end already."""
    job = require_job(session, job_id)
    if how is StopRequest.PAUSE:
        return _request_pause(session, job)
    return _stop_waiting(session, job, how) or _ask_running(session, job, how)


def _request_pause(session: Session, job: Job) -> Job:
    if job.kind is not JobKind.TRAIN:
        raise Invalid(N_("Only runs can be paused."), field="how")
    paused = changed_one(
        session,
        update(Job)
        .where(col(Job.id) == job.id, col(Job.state) == JobState.QUEUED, col(Job.stop_requested).is_(None))
        .values(state=JobState.PAUSED),
    )
    if paused:
        job = fresh(session, id_of(job))
        append_events(session, job, [(EventKind.STATE, {"state": JobState.PAUSED.value})])
        return job
    asked = changed_one(
        session,
        update(Job)
        .where(col(Job.id) == job.id, col(Job.state) == JobState.RUNNING, col(Job.stop_requested).is_(None))
        .values(stop_requested=StopRequest.PAUSE),
    )
    job = fresh(session, id_of(job))
    if not asked:
        raise Conflict(_ENDED if job.is_final else _PAUSED if job.state is JobState.PAUSED else _ENDING)
    append_events(session, job, [(EventKind.STOP_REQUESTED, {"how": StopRequest.PAUSE.value})])
    return job


def _stop_waiting(session: Session, job: Job, how: StopRequest) -> Job | None:
    """End a job that is queued or paused; None where it is neither."""
    states = [JobState.QUEUED, JobState.PAUSED]
    here = update(Job).where(col(Job.id) == job.id, col(Job.state).in_(states))
    if how is StopRequest.SAVE and _has_checkpoint(session, job):
        if not changed_one(session, here.values(state=JobState.QUEUED, stop_requested=how)):
            return None
        job = fresh(session, id_of(job))
        append_events(session, job, [(EventKind.STOP_REQUESTED, {"how": how.value})])
        append_events(session, job, [(EventKind.STATE, {"state": JobState.QUEUED.value})])
        ring_after_commit(session, job)
        return job
    if how is StopRequest.SAVE and job.state is JobState.PAUSED:
        raise Conflict(
            N_("It has not trained a step yet, so there is nothing to keep. Let it go on, or cancel it.")
        )
    ended = here.values(state=JobState.CANCELLED, finished_at=database_now(session), stop_requested=how)
    if not changed_one(session, ended):
        return None
    job = fresh(session, id_of(job))
    append_events(session, job, [(EventKind.STATE, {"state": JobState.CANCELLED.value})])
    return job


def _ask_running(session: Session, job: Job, how: StopRequest) -> Job:
    asked = changed_one(
        session,
        update(Job)
        .where(col(Job.id) == job.id, col(Job.state) == JobState.RUNNING)
        .values(stop_requested=how),
    )
    if not asked:
        raise Conflict(_ENDED)
    job = fresh(session, id_of(job))
    append_events(session, job, [(EventKind.STOP_REQUESTED, {"how": how.value})])
    return job


def _has_checkpoint(session: Session, job: Job) -> bool:
    written = exists().where(col(JobEvent.job_id) == job.id, col(JobEvent.kind) == EventKind.CHECKPOINT)
    return bool(session.scalar(select(written)))


def resume(session: Session, job_id: int) -> Job:
    """Let a paused job go on: it waits for a worker. Raises Conflict where it is not paused."""
    require_job(session, job_id)
    resumed = changed_one(
        session,
        update(Job)
        .where(col(Job.id) == job_id, col(Job.state) == JobState.PAUSED)
        .values(state=JobState.QUEUED, stop_requested=None),
    )
    job = fresh(session, job_id)
    if not resumed:
        pausing = job.state is JobState.RUNNING and job.stop_requested is StopRequest.PAUSE
        raise Conflict(_STILL_PAUSING if pausing else _ENDED if job.is_final else _NOT_PAUSED)
    append_events(session, job, [(EventKind.STATE, {"state": JobState.QUEUED.value, "resumed": True})])
    ring_after_commit(session, job)
    return job


def stop_as(session: Session, actor: Actor, job: Job, how: StopRequest) -> Job:
    """As request_stop, in somebody's name. Raises Refused for a job of somebody else, which engineers may stop."""
    if job.created_by_user_id != actor.user_id and not actor.may(Permission.JOB_STOP):
        raise Refused(N_("This was started by somebody else. An engineer can stop it."))
    if how is StopRequest.PAUSE:
        raise Invalid(N_("A run is paused at its own address, /runs/ID/pause."), field="how")
    stopped = request_stop(session, id_of(job), how)
    record(session, actor, f"job.{how.value}", f"job/{job.id}")
    return stopped
