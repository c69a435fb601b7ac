"""How long a run will take, told by the run before it."""

from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from sqlmodel import Session, col, select

from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import Job, JobEvent, JobKind, JobState
from app.mask_checks.service import require_mask_check
from app.recipes.config import TrainingConfig
from app.runs.mixing import plan_epoch
from app.runs.models import Run
from app.runs.pace import Ahead, Pace, expected_pace
from app.versions.service import require_version
from tests.support.training import make_run, make_run_like, progress


def finished(
    session: Session,
    storage: Storage,
    *,
    seconds: float,
    epoch: float,
    steps: float | None = None,
    like: int | None = None,
    each: float = 0,
    **config: Any,
) -> Run:
    """A run that trained so many epochs in so many seconds, its `steps` in so many of them; `like` another on the same mask check. Before
    the first step, twice between two and after the last its held-out loss was measured, in `each` seconds.
    """
    run, job = make_run(session, storage) if like is None else make_run_like(session, like)
    run.config = run.config.model_copy(update=config)
    claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
    assert claim is not None
    done = progress(10, 10)
    done[1]["epoch"] = epoch
    begun = [] if steps is None else [progress(1, 10)]
    measured: list[jobs.EventData] = [("phase", {"phase": "evaluating"}), ("phase", {"phase": "training"})]
    told = [*measured, *begun, *measured, *measured, done, *measured] if each else [*begun, done]
    jobs.heartbeat(session, claim, lease_seconds=30, events=told)
    jobs.finish(session, jobs.Claim(job.id or 0, 1, JobKind.TRAIN, {}), JobState.SUCCEEDED, result={})
    job = session.get_one(Job, run.job_id)
    assert job.started_at is not None
    job.finished_at = job.started_at + timedelta(seconds=seconds)
    session.add(job)
    moment, before = job.started_at, 0
    for event in session.exec(
        select(JobEvent).where(JobEvent.job_id == run.job_id).order_by(col(JobEvent.seq))
    ):
        if event.kind == "progress":
            # Nine of ten steps lie between the two that are told.
            moment += timedelta(seconds=(steps or 0) * (event.payload["step"] - before) / 10)
            before = event.payload["step"]
        elif event.payload.get("phase") == "training":
            moment += timedelta(seconds=each)
        event.created_at = moment
        session.add(event)
    session.flush()
    return run


def expected(
    session: Session,
    run: Run,
    epochs: float,
    base_model_id: int | None = None,
    measurements: int = 0,
    **config: Any,
) -> Pace | None:
    version = require_version(session, run.dataset_version_id)
    epoch = plan_epoch(run.config, version, require_mask_check(session, run.mask_check_id), None)
    tokens = round((epoch.tokens or 0) * epochs)
    asked = run.config.model_copy(update=config)
    return expected_pace(session, base_model_id or run.base_model_id, asked, Ahead(tokens, measurements))


def test_twice_the_epochs_take_twice_the_time(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        run = finished(session, app.state.storage, seconds=300, epoch=2.0)
        assert expected(session, run, epochs=4.0) == Pace(600, run.id or 0)


def test_what_comes_before_and_after_the_steps_takes_no_longer_with_more_epochs(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        run = finished(session, app.state.storage, seconds=300, epoch=2.0, steps=200)
        assert expected(session, run, epochs=2.0) == Pace(300, run.id or 0)
        assert expected(session, run, epochs=20.0) == Pace(2100, run.id or 0)


def test_measurements_take_time_by_their_number_and_not_by_the_tokens(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        # 60 s of loading and saving, 200 of steps, four times 10 of measuring of which two lay between steps.
        run = finished(session, app.state.storage, seconds=300, epoch=2.0, steps=200, each=10)
        for epochs, measurements, seconds in ((2.0, 2, 300), (4.0, 2, 500), (2.0, 0, 280), (20.0, 40, 2480)):
            assert expected(session, run, epochs, measurements=measurements) == Pace(seconds, run.id or 0)


def test_measurements_between_steps_are_counted_where_something_is_held_out() -> None:
    config = TrainingConfig(eval_steps=5)
    assert [Ahead.of(9, steps, config, held_out=2).measurements for steps in (1, 5, 6, 10, 11)] == [
        0,
        0,
        1,
        1,
        2,
    ]
    assert Ahead.of(9, 100, config, held_out=0).measurements == 0


def test_of_runs_that_were_trained_alike_the_most_alike_tells(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        one = finished(session, app.state.storage, seconds=300, epoch=2.0, per_device_train_batch_size=1)
        four = finished(
            session, app.state.storage, seconds=150, epoch=2.0, like=one.id, per_device_train_batch_size=4
        )
        assert expected(session, one, epochs=2.0, per_device_train_batch_size=1) == Pace(300, one.id or 0)
        assert expected(session, one, epochs=2.0, per_device_train_batch_size=4) == Pace(150, four.id or 0)
        # Where none is, the newest.
        assert expected(session, one, epochs=2.0, per_device_train_batch_size=2) == Pace(150, four.id or 0)


def test_what_was_trained_in_another_way_says_nothing(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        run = finished(session, app.state.storage, seconds=300, epoch=2.0)
        for other in (
            {"use_peft": False},
            {"load_in_4bit": True},
            {"use_dora": True},
            {"gradient_checkpointing": True},
            {"bf16": True},
            {"num_processes": 2},
        ):
            assert expected(session, run, epochs=2.0, **other) is None
        full = finished(session, app.state.storage, seconds=900, epoch=2.0, like=run.id, use_peft=False)
        assert expected(session, run, epochs=2.0, use_peft=False) == Pace(900, full.id or 0)
        # Steps of another size take as long for each token, about.
        assert expected(session, run, epochs=2.0, per_device_train_batch_size=2) == Pace(300, run.id or 0)


def test_what_another_program_took_says_nothing(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        own = finished(session, app.state.storage, seconds=300, epoch=2.0)
        there = finished(session, app.state.storage, seconds=900, epoch=2.0, like=own.id, backend="axolotl")
        assert expected(session, own, epochs=2.0) == Pace(300, own.id or 0)
        assert expected(session, own, epochs=2.0, backend="axolotl") == Pace(900, there.id or 0)
        assert expected(session, own, epochs=2.0, backend="trl") is None


def test_without_a_finished_run_on_the_model_there_is_no_figure(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage)
        assert expected(session, run, epochs=4.0) is None
    with reading(app.state.engine) as session:
        assert expected(session, run, epochs=4.0, base_model_id=run.base_model_id + 1) is None


def test_a_run_that_told_no_progress_gives_no_figure(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        run = finished(session, app.state.storage, seconds=300, epoch=0.0)
        assert expected(session, run, epochs=1.0) is None
