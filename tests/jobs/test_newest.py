"""A job's events of one kind, and the newest of each."""

from sqlalchemy import Engine

from app.core.database import reading, transaction
from app.jobs.events import CheckpointPayload, EventKind, MetricPayload, PhasePayload
from app.jobs.models import Job, JobEvent, JobKind
from app.jobs.newest import all_events, last_event, last_events


def test_the_newest_of_each_kind_for_one_job_and_for_many(engine: Engine) -> None:
    with transaction(engine) as session:
        jobs = [Job(kind=JobKind.TRAIN), Job(kind=JobKind.TRAIN)]
        session.add_all(jobs)
        session.flush()
        one, two = (job.id or 0 for job in jobs)
        session.add_all(
            JobEvent(job_id=job_id, seq=seq, kind=kind, payload={"n": seq})
            for job_id, seq, kind in (
                (one, 1, "metric"),
                (one, 2, "phase"),
                (one, 3, "metric"),
                (two, 1, "metric"),
            )
        )
    with reading(engine) as session:
        assert last_event(session, one, MetricPayload) == {"n": 3}
        assert last_event(session, two, PhasePayload) is None
        assert all_events(session, one, MetricPayload) == [{"n": 1}, {"n": 3}]
        assert all_events(session, two, CheckpointPayload) == []
        assert last_events(session, [one, two], (EventKind.METRIC, EventKind.PHASE)) == {
            (one, "metric"): {"n": 3},
            (one, "phase"): {"n": 2},
            (two, "metric"): {"n": 1},
        }
        assert last_events(session, [], (EventKind.METRIC,)) == {}
