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


def test_what_a_later_attempt_took_back_is_not_the_newest(engine: Engine) -> None:
    told: list[tuple[str, int]] = [
        ("eval", 0),
        *((kind, step) for step in (1, 2, 3) for kind in ("progress", "metric")),
        ("checkpoint", 3),
        ("metric", 4),
        ("eval", 4),
        ("restored", 3),
        ("progress", 4),
        # Lost again: its checkpoint was torn, so that an earlier one was taken.
        ("restored", 2),
    ]
    with transaction(engine) as session:
        jobs = [Job(kind=JobKind.TRAIN), Job(kind=JobKind.TRAIN)]
        session.add_all(jobs)
        session.flush()
        lost, other = (job.id or 0 for job in jobs)
        for job_id, events in ((lost, told), (other, told[:-3])):
            session.add_all(
                JobEvent(job_id=job_id, seq=seq, kind=kind, payload={"step": step})
                for seq, (kind, step) in enumerate(events, 1)
            )
    kinds = (EventKind.METRIC, EventKind.PROGRESS, EventKind.EVAL, EventKind.CHECKPOINT)
    with reading(engine) as session:
        found = last_events(session, [lost, other], kinds)
        steps = {(job_id == lost, kind): payload["step"] for (job_id, kind), payload in found.items()}  # type: ignore[typeddict-item]
        assert steps == {
            (True, "metric"): 2,
            (True, "progress"): 2,
            (True, "eval"): 0,
            (False, "metric"): 4,
            (False, "progress"): 3,
            (False, "eval"): 4,
            (False, "checkpoint"): 3,
        }
        assert last_event(session, lost, CheckpointPayload) is None
        session.add(JobEvent(job_id=lost, seq=len(told) + 1, kind="metric", payload={"step": 3}))
        assert last_event(session, lost, MetricPayload) == {"step": 3}
        session.rollback()
