"""Curves: one point a step, spikes kept when thinned; logs: the readable end."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, delete
from sqlmodel import col

from app.accounts.who import Who
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.events import EvalPayload, MetricPayload
from app.jobs.models import Job, JobEvent, JobKind
from app.jobs.newest import last_event, last_events, told_until_restored
from app.runs import losses as kept_losses
from app.runs.curves import Point, read_curves, thin
from app.runs.logs import TAIL_LINES, log_tail
from app.runs.losses import read_losses
from app.runs.samples import read_samples
from tests.support.training import lived_through, metric, progress


def evaluation(step: int, loss: float) -> jobs.EventData:
    return ("eval", {"step": step, "eval_loss": loss})


def checkpoint(step: int) -> jobs.EventData:
    return ("checkpoint", {"step": step})


def test_a_resumed_attempt_replaces_the_steps_it_repeats(engine: Engine) -> None:
    first = [
        metric(1, 3.0),
        metric(2, 2.9),
        evaluation(2, 3.1),
        checkpoint(2),
        metric(3, 2.8),
        metric(4, 2.7),
        evaluation(4, 2.9),
        checkpoint(4),
    ]
    second = [metric(3, 2.5), metric(4, 2.4), evaluation(4, 2.6), metric(5, 2.3), checkpoint(5)]
    job_id = lived_through(engine, first, second).job_id
    with reading(engine) as session:
        job = jobs.require_job(session, job_id)
        curves, losses = read_curves(session, job), read_losses(session, job)
    assert [(p["step"], p["loss"]) for p in curves.metrics] == [
        (1, 3.0),
        (2, 2.9),
        (3, 2.5),
        (4, 2.4),
        (5, 2.3),
    ]
    assert [(p["step"], p["eval_loss"]) for p in curves.evals] == [(2, 3.1), (4, 2.6)]
    assert curves.last_seq == 17
    # the shorter way that the diagnosis takes tells the same
    assert [(p.step, p.loss) for p in losses.train] == [(p["step"], p["loss"]) for p in curves.metrics]
    assert losses.evals == [(2, 3.1), (4, 2.6)]
    assert losses.checkpoints == curves.checkpoints == [2, 5]


def restored(step: int) -> jobs.EventData:
    return ("restored", {"step": step})


def sample(step: int) -> jobs.EventData:
    return ("sample", {"step": step, "prompt": 0, "text": f"after {step}"})


def test_an_attempt_that_goes_on_takes_back_what_lies_behind_its_step_though_it_measures_nothing(
    engine: Engine,
) -> None:
    lost = [
        evaluation(0, 3.3),
        metric(1, 3.0),
        metric(2, 2.9),
        evaluation(2, 3.1),
        sample(2),
        checkpoint(2),
        metric(3, 2.8),
        metric(4, 2.7),
        evaluation(4, 2.9),
        sample(4),
        checkpoint(4),
    ]
    job_id = lived_through(engine, lost, [restored(2)]).job_id
    with reading(engine) as session:
        job = jobs.require_job(session, job_id)
        curves, losses = read_curves(session, job), read_losses(session, job)
        assert list(read_samples(session, job).rounds) == [2]
        assert told_until_restored(session, [job_id], EvalPayload)[job_id] == [
            {"step": 0, "eval_loss": 3.3},
            {"step": 2, "eval_loss": 3.1},
        ]
    assert [point["step"] for point in curves.metrics] == [point.step for point in losses.train] == [1, 2]
    assert [point["step"] for point in curves.evals] == [point.step for point in losses.evals] == [0, 2]
    assert curves.checkpoints == losses.checkpoints == [2]
    assert (losses.best, curves.whole) == ((3.1, 2), 2)


def test_an_attempt_that_starts_over_takes_back_everything_but_what_is_from_before_training(
    engine: Engine,
) -> None:
    job_id = lived_through(engine, [evaluation(0, 3.3), metric(1, 3.0), checkpoint(1)], [restored(0)]).job_id
    with reading(engine) as session:
        curves = read_curves(session, jobs.require_job(session, job_id))
    assert (curves.metrics, curves.checkpoints) == ([], [])
    assert [point["step"] for point in curves.evals] == [0]


def test_losses_that_were_read_stay_and_what_is_new_takes_back_what_it_repeats(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_losses, "_LEAST_EVENTS", 1)
    with transaction(engine) as session:
        job = jobs.enqueue(session, JobKind.TRAIN, created_by=Who("test"))
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=60)
        assert claim is not None
        for events in ([metric(1, 3.0), metric(2, 2.9), evaluation(2, 3.1), checkpoint(2)], [metric(2, 2.5)]):
            jobs.heartbeat(session, claim, lease_seconds=60, events=events)
            session.flush()
            session.refresh(job)
            found = read_losses(session, job)
            # nothing but what is new is asked for
            session.execute(delete(JobEvent).where(col(JobEvent.job_id) == job.id))
        assert [(point.step, point.loss) for point in found.train] == [(1, 3.0), (2, 2.5)]
        assert (found.evals, found.checkpoints) == ([(2, 3.1)], [2])


def test_a_measure_that_was_not_a_number_is_a_gap(engine: Engine) -> None:
    job_id = lived_through(engine, [metric(1), metric(2, float("nan"))]).job_id
    with reading(engine) as session:
        job = jobs.require_job(session, job_id)
        assert [point["loss"] for point in read_curves(session, job).metrics] == [2.0, None]
        assert [point.loss for point in read_losses(session, job).train] == [2.0, None]


def points(count: int) -> list[Point]:
    return [{"step": step, "loss": 2.0, "grad_norm": 0.5} for step in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 2000, 2001, 2500, 50_000])
def test_thinning_keeps_the_ends_and_stays_within_the_limit(count: int) -> None:
    found = thin(points(count), 2000, ("loss", "grad_norm"))
    steps = [point["step"] for point in found]
    assert len(found) <= 2000
    assert steps == sorted(set(steps))
    if count:
        assert (steps[0], steps[-1]) == (0, count - 1)
    if count <= 2000:
        assert len(found) == count


def test_thinning_keeps_every_spike() -> None:
    many = points(30_000)
    many[12_345]["loss"] = 9.0
    many[20_001]["grad_norm"] = 40.0
    many[25_002]["loss"] = None
    found = thin(many, 2000, ("loss", "grad_norm"))
    assert max(point["loss"] or 0 for point in found) == 9.0
    assert max(point["grad_norm"] for point in found) == 40.0


def test_the_newest_event_of_each_kind_is_found_for_many_jobs(engine: Engine) -> None:
    first = lived_through(engine, [metric(1), progress(1), metric(2, 1.5), progress(2)]).job_id
    second = lived_through(engine, [progress(7)]).job_id
    with reading(engine) as session:
        found = last_events(session, [first, second], ("metric", "progress"))
        one = last_event(session, first, MetricPayload)
        assert last_event(session, second, MetricPayload) is None
    assert {key: value["step"] for key, value in found.items()} == {
        (first, "metric"): 2,
        (first, "progress"): 2,
        (second, "progress"): 7,
    }
    assert one is not None
    assert one["loss"] == 1.5


def write_log(tmp_path: Path, content: bytes) -> tuple[Storage, Job]:
    storage = Storage(tmp_path)
    (storage.folder("jobs/3/2") / "log.txt").write_bytes(content)
    return storage, Job(id=3, kind=JobKind.TRAIN, attempt=2)


def test_a_log_shows_its_last_lines_only(tmp_path: Path) -> None:
    storage, job = write_log(tmp_path, b"".join(b"line %d\n" % number for number in range(100_000)))
    lines = log_tail(storage, job)
    assert len(lines) == TAIL_LINES
    assert lines[-1] == "line 99999"


def test_a_log_is_plain_text_whatever_was_written(tmp_path: Path) -> None:
    raw = (
        "\x1b[31mred\x1b[0m\n10%\r50%\r100%\n\x1b]0;title\x07ok\x00\x08\n价格\n\n".encode()
        + b"\xff\xfe broken"
    )
    assert log_tail(*write_log(tmp_path, raw)) == ["red", "100%", "ok", "价格", "\ufffd\ufffd broken"]


def test_a_log_cut_within_a_line_begins_with_a_whole_one(tmp_path: Path) -> None:
    storage, job = write_log(tmp_path, b"a" * 70_000 + b"\nwhole\n")
    assert log_tail(storage, job) == ["whole"]


def test_no_log_yet_is_no_error(tmp_path: Path) -> None:
    assert log_tail(Storage(tmp_path), Job(id=9, kind=JobKind.TRAIN)) == []
