"""Runs in the states that their pages and REST show."""

from typing import Any

from fastapi import FastAPI
from sqlmodel import Session, select

from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import Job, JobKind, JobState
from app.runs.models import Run
from tests.support.training import make_run


def runs(app: FastAPI) -> list[Run]:
    with reading(app.state.engine) as session:
        found = list(session.exec(select(Run)))
        session.expunge_all()
        return found


def running(app: FastAPI, storage: Storage, *events: jobs.EventData, **request: Any) -> int:
    """A run under way with these events; its id."""
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage, **request)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.heartbeat(session, claim, lease_seconds=30, events=[("phase", {"phase": "training"}), *events])
        return run.id or 0


def end(session: Session, run_id: int, state: JobState, **result: Any) -> None:
    job = session.get_one(Job, session.get_one(Run, run_id).job_id)
    jobs.finish(session, jobs.Claim(job.id or 0, job.attempt, JobKind.TRAIN, {}), state, **result)
