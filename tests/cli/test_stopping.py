"""What `stop` and `pause` say of a run that ended otherwise than it was asked to."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI

from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import Job, JobState
from app.sentences import Failure, FailureCode, Sentence
from tests.cli.conftest import LiveServer
from tests.support.training import make_run

pytestmark = pytest.mark.usefixtures("silent_bell")


@contextmanager
def ends_when_asked(app: FastAPI, storage: Storage, state: JobState) -> Iterator[str]:
    """A run under way that ends so as soon as somebody asks anything of it; its id."""
    reason = Failure(FailureCode.UNEXPECTED, Sentence.of("The device is gone."))
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage)
        run_id, job_id = run.id, job.id or 0
        claim = jobs.claim(session, job_id, owner="w", lease_seconds=300)
        assert claim is not None

    def end() -> None:
        while True:
            with reading(app.state.engine) as session:
                asked = session.get_one(Job, job_id).stop_requested
            if asked is not None:
                break
            time.sleep(0.05)
        with transaction(app.state.engine) as session:
            jobs.finish(session, claim, state, failure=reason if state is JobState.FAILED else None)

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    yield str(run_id)
    thread.join(30)


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
