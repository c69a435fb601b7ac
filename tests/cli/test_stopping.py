"""What `stop` and `pause` say of a run that ended otherwise than it was asked to."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs import stopping
from app.jobs.events import EventKind
from app.jobs.models import Job, JobState, StopRequest
from app.sentences import Failure, FailureCode, Sentence
from tests.cli.conftest import LiveServer, wait_until
from tests.support.patience import HANGING_SECONDS
from tests.support.training import make_run, run_result

pytestmark = pytest.mark.usefixtures("silent_bell")


def _under_way(session: Session, storage: Storage) -> tuple[int | None, int, jobs.Claim]:
    """A run that a worker is at: its id, its job's, and the worker's claim."""
    run, job = make_run(session, storage)
    job_id = job.id or 0
    claim = jobs.claim(session, job_id, owner="w", lease_seconds=300)
    assert claim is not None
    return run.id, job_id, claim


@contextmanager
def ends_when_asked(app: FastAPI, storage: Storage, state: JobState) -> Iterator[str]:
    """A run under way that ends so as soon as somebody asks anything of it; its id."""
    reason = Failure(FailureCode.UNEXPECTED, Sentence.of("The device is gone."))
    with transaction(app.state.engine) as session:
        run_id, job_id, claim = _under_way(session, storage)

    def is_asked() -> bool:
        with reading(app.state.engine) as session:
            return session.get_one(Job, job_id).stop_requested is not None

    def end() -> None:
        wait_until(is_asked, "somebody asks")
        with transaction(app.state.engine) as session:
            jobs.finish(session, claim, state, failure=reason if state is JobState.FAILED else None)

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    yield str(run_id)
    thread.join(HANGING_SECONDS)


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_a_run_that_failed_meanwhile_fails_the_command_and_is_printed(
    app: FastAPI, storage: Storage, live: LiveServer, command: str
) -> None:
    with ends_when_asked(app, storage, JobState.FAILED) as run_id:
        told = live.run(command, "--run", run_id, "--json")
    assert (told.code, told.json["job"]["state"]) == (1, "failed")
    assert "The run failed: " in told.error


@pytest.mark.parametrize(("asked", "code"), [((), 1), (("--discard",), 0)])
def test_a_run_that_was_discarded_meanwhile_has_no_model_that_a_script_could_go_on_with(
    app: FastAPI, storage: Storage, live: LiveServer, asked: tuple[str, ...], code: int
) -> None:
    with ends_when_asked(app, storage, JobState.CANCELLED) as run_id:
        told = live.run("stop", "--run", run_id, *asked)
    assert (told.code, "was cancelled." in told.stderr) == (code, True)


def test_a_run_that_nobody_has_begun_is_simply_stopped(
    app: FastAPI, storage: Storage, live: LiveServer
) -> None:
    with transaction(app.state.engine) as session:
        run_id = make_run(session, storage)[0].id
    told = live.run("stop", "--run", str(run_id))
    assert (told.code, f"Run {run_id} was cancelled." in told.stderr) == (0, True)


@contextmanager
def paused(app: FastAPI, storage: Storage, ends: JobState) -> Iterator[tuple[str, list[bool]]]:
    """A paused run with a loss of before, that a worker takes up as soon as it may, measures once more and ends so. Its id, and
    whether the worker has come to its end."""
    reason = Failure(FailureCode.UNEXPECTED, Sentence.of("The device is gone."))
    with transaction(app.state.engine) as session:
        run_id, job_id, claim = _under_way(session, storage)
        stopping.request_stop(session, job_id, StopRequest.PAUSE)
        jobs.pause(session, claim, events=[(EventKind.EVAL, {"step": 1, "eval_loss": 3.25})])
    told: list[bool] = []

    def take_up() -> jobs.Claim | None:
        with transaction(app.state.engine) as session:
            return jobs.claim(session, job_id, owner="w", lease_seconds=300)

    def work() -> None:
        again = wait_until(take_up, "it may go on")
        with transaction(app.state.engine) as session:
            jobs.heartbeat(
                session, again, lease_seconds=300, events=[(EventKind.EVAL, {"step": 2, "eval_loss": 1.75})]
            )
        time.sleep(0.5)
        told.append(True)  # before the end can be seen by whoever waits for it
        with transaction(app.state.engine) as session:
            failure = reason if ends is JobState.FAILED else None
            result = None if failure else run_result()
            jobs.finish(session, again, ends, failure=failure, result=result)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield str(run_id), told
    thread.join(HANGING_SECONDS)


@pytest.mark.parametrize(
    ("ends", "code"), [(JobState.SUCCEEDED, 0), (JobState.FAILED, 1), (JobState.CANCELLED, 1)]
)
def test_resume_waits_for_the_end_as_train_does(
    app: FastAPI, storage: Storage, live: LiveServer, ends: JobState, code: int
) -> None:
    with paused(app, storage, ends) as (run_id, ended):
        told = live.run("resume", "--run", run_id, "--json")
        assert ended == [True]
    assert (told.code, told.json["job"]["state"]) == (code, ends.value)
    # What came before the pause is not told again.
    assert ("1.7500" in told.stderr, "3.2500" in told.stderr) == (True, False), told.stderr
    assert "It was paused" not in told.stderr


def test_resume_without_waiting_says_that_it_goes_on(
    app: FastAPI, storage: Storage, live: LiveServer
) -> None:
    with paused(app, storage, JobState.SUCCEEDED) as (run_id, _ended):
        told = live.run("resume", "--run", run_id, "--no-wait", "--json")
    assert (told.code, told.json["job"]["state"]) == (0, "queued")
    assert "goes on as soon as a worker is free" in told.stderr


def test_what_is_not_paused_cannot_be_resumed(app: FastAPI, storage: Storage, live: LiveServer) -> None:
    with transaction(app.state.engine) as session:
        run_id = make_run(session, storage)[0].id
    told = live.run("resume", "--run", str(run_id))
    assert (told.code, "not paused" in told.error) == (1, True), told
