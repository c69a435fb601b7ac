"""Runs are told to a tracker out of their stored events: whole, once, from where it stopped, and never at a run's cost."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.core.database import reading, transaction, utc_now
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.events import EventKind
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.jobs.service import Claim, EventData
from app.runs.handler import Train
from app.runs.models import Run, RunArtifact
from app.runs.tracking import TrackedRun, TrackingState
from app.sentences import Failure
from app.trackers.mlflow import MlflowTracker
from app.trackers.telling import PATIENCE, PAUSES_SECONDS, Teller
from tests.support.patience import HANGING_SECONDS
from tests.support.people import Person, visible_text
from tests.support.training import make_run, run_result
from tests.support.workers import wait_until
from tests.trackers.mlflow_server import MlflowServer
from worker.parent.tracking import TrackingThread, start_tracking

pytestmark = pytest.mark.usefixtures("silent_bell")


def begun(app: FastAPI, storage: Storage, **request: Any) -> tuple[int, Claim]:
    """A run that a worker has just taken on, as its handler promises it."""
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage, **request)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=600)
        assert claim is not None
        run_id = run.id or 0
    with transaction(app.state.engine) as session:
        place = Workplace(app.state.settings, storage, f"jobs/{claim.job_id}/1")
        Train(follow_up=lambda *_args: None).child_input(session, place, claim)
    return run_id, claim


def measured(app: FastAPI, claim: Claim, steps: range, **more: Any) -> None:
    """Training steps with all their figures, and a held-out loss after the last."""
    told: list[EventData] = [
        (
            "metric",
            {
                "step": step,
                "epoch": step / 100,
                "loss": 3 - step / 1000,
                "learning_rate": 5e-5,
                "grad_norm": None,
                "tokens_per_second": 80.0,
                "memory_bytes": 1000,
                **more,
            },
        )
        for step in steps
    ]
    told.append(("log", {"level": "info", "sentence": {"template": "Nothing to draw.", "values": {}}}))
    told.append(("eval", {"step": steps[-1], "eval_loss": 2.5}))
    with transaction(app.state.engine) as session:
        jobs.heartbeat(session, claim, lease_seconds=600, events=told)


def ended(app: FastAPI, claim: Claim, state: JobState, **more: Any) -> None:
    with transaction(app.state.engine) as session:
        jobs.finish(
            session, claim, state, result=run_result() if state is JobState.SUCCEEDED else None, **more
        )


def teller(app: FastAPI, storage: Storage, owner: str = "w1", settings: Settings | None = None) -> Teller:
    settings = settings or app.state.settings
    tracker = MlflowTracker(settings)
    return Teller(app.state.engine, settings, storage, tracker, owner=owner, stop=threading.Event())


def row(app: FastAPI) -> TrackedRun:
    with reading(app.state.engine) as session:
        return session.exec(select(TrackedRun)).one()


def due_now(app: FastAPI, **changes: Any) -> None:
    with transaction(app.state.engine) as session:
        stored = session.exec(select(TrackedRun)).one()
        stored.next_at = utc_now() - timedelta(seconds=1)
        for name, value in changes.items():
            setattr(stored, name, value)
        session.add(stored)


def shown(person: Person, run_id: int) -> dict[str, Any]:
    (found,) = person.api.get(f"/api/v1/runs/{run_id}/trackers").json()
    assert isinstance(found, dict)
    return found


def test_a_run_is_told_whole_and_every_door_names_its_address(
    app: FastAPI, storage: Storage, engineer: Person, server: MlflowServer
) -> None:
    run_id, claim = begun(app, storage, name="Köln, 报价")
    measured(app, claim, range(1, 4), mixed_loss=None)
    one = teller(app, storage)
    assert one.round() == 1
    assert (row(app).state, row(app).step, server.only_run()["info"]["status"]) == (
        TrackingState.BEGUN,
        3,
        "RUNNING",
    )
    ended(app, claim, JobState.SUCCEEDED)
    with transaction(app.state.engine) as session:
        card = storage.path("jobs/1/1/adapter/README.md")
        card.parent.mkdir(parents=True)
        card.write_text("# The card")
        for name in ("README.md", "adapter_model.safetensors"):
            key = f"jobs/1/1/adapter/{name}"
            session.add(RunArtifact(run_id=run_id, name=name, storage_key=key, size_bytes=1, sha256="0" * 64))
    assert (one.round(), one.round()) == (1, 0)
    told = server.only_run()
    assert told["info"]["run_name"] == "Köln, 报价"
    with reading(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        for name in type(run.config).model_fields:
            assert name in told["params"]
    assert (told["params"]["learning_rate"], told["params"]["mask.max_length"]) == ("5e-5", "2048")
    assert told["tags"]["sft_studio.mask_hash"] == "a" * 64
    assert told["tags"]["sft_studio.url"] == f"https://studio.example.com/runs/{run_id}"
    curves = server.metrics(told)
    assert curves["train/loss"] == [(1, 2.999), (2, 2.998), (3, 2.997)]
    assert curves["eval/loss"] == [(3, 2.5)]
    assert "train/grad_norm" not in curves
    assert (told["info"]["status"], told["info"]["end_time"] > told["info"]["start_time"]) == (
        "FINISHED",
        True,
    )
    folder = f"1/{told['info']['run_id']}/artifacts"
    assert sorted(server.files) == [f"{folder}/README.md", f"{folder}/manifest.json"]
    address = f"{server.uri}/#/experiments/1/runs/{told['info']['run_id']}"
    assert json.loads(server.files[f"{folder}/manifest.json"])["trackers"][0]["url"] == address
    assert shown(engineer, run_id) == {
        **shown(engineer, run_id), "state": "told", "url": address, "step": 3, "detail": "", "next_at": None
    }  # fmt: skip
    page = engineer.browser.get(f"/runs/{run_id}").text
    assert f'href="{address}"' in page
    assert "All told" in visible_text(page)


def test_who_goes_on_after_a_lost_answer_or_a_dead_worker_tells_nothing_twice_and_leaves_nothing_out(
    app: FastAPI, storage: Storage, server: MlflowServer
) -> None:
    _run_id, claim = begun(app, storage)
    for loses, steps in ((4, range(1, 101)), (1, range(101, 300)), (0, range(300, 351))):
        measured(app, claim, steps)
        server.loses_answers = loses
        for number in range(8):
            # Each time by another worker, as if the one before had died; nobody holds what it held for ever.
            teller(app, storage, owner=f"w{number}").round()
            due_now(app, owned_until=utc_now() - timedelta(seconds=1))
    ended(app, claim, JobState.CANCELLED)
    teller(app, storage).round()
    told = server.only_run()
    assert [step for step, _loss in server.metrics(told)["train/loss"]] == list(range(1, 351))
    assert server.metrics(told)["eval/loss"] == [(100, 2.5), (299, 2.5), (350, 2.5)]
    assert told["info"]["status"] == "KILLED"
    assert len(server.experiments) == 1
    assert max(batch["metrics"] for batch in server.batches) <= 1000
    assert max(batch["params"] for batch in server.batches) <= 100
    assert row(app).state is TrackingState.TOLD


def test_a_server_that_is_away_is_tried_ever_more_slowly_and_told_the_rest_when_it_is_back(
    app: FastAPI, storage: Storage, engineer: Person, server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = tuple(range(1, len(PAUSES_SECONDS) + 1))  # none of which is over while the test goes on
    monkeypatch.setattr("app.trackers.telling.PAUSES_SECONDS", tuple(3600 * count for count in hours))
    run_id, claim = begun(app, storage)
    measured(app, claim, range(1, 3))
    one = teller(app, storage)
    one.round()
    server.says = (503, "text/html", b"<h1>no</h1>")
    measured(app, claim, range(3, 5))
    pauses = []
    for _ in range(len(PAUSES_SECONDS) + 1):
        assert one.round() == 1
        pauses.append(round((row(app).next_at - utc_now()) / timedelta(hours=1)))
        assert one.round() == 0, "it waits"
        due_now(app)
    assert pauses == [*hours, hours[-1]]
    found = shown(engineer, run_id)
    assert (found["state"], found["step"], found["failures"]) == ("begun", 2, len(pauses))
    assert "status 503): Service Unavailable" in found["detail"]
    assert "the run goes on meanwhile" in visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    failure = Failure.of("killed", "Killed at step %(step)d.", step=4)
    ended(app, claim, JobState.FAILED, failure=failure)
    server.says = None
    due_now(app, next_at=utc_now() + timedelta(hours=1))
    # A worker that starts anew does not wait for the hour.
    again = teller(app, storage)
    again.try_all_again()
    assert again.round() == 1
    told = server.only_run()
    assert [step for step, _loss in server.metrics(told)["train/loss"]] == [1, 2, 3, 4]
    assert (told["info"]["status"], told["tags"]["sft_studio.failure"]) == ("FAILED", "Killed at step 4.")
    assert shown(engineer, run_id) == {
        **shown(engineer, run_id),
        "state": "told",
        "failures": 0,
        "detail": "",
    }


def test_what_an_attempt_took_back_before_a_tracker_heard_of_it_is_never_told(
    app: FastAPI, storage: Storage, server: MlflowServer
) -> None:
    _run_id, claim = begun(app, storage)
    measured(app, claim, range(1, 3))
    one = teller(app, storage)
    one.round()
    # The server is away while an attempt is lost at step 6 and another goes on from the checkpoint at step 4.
    measured(app, claim, range(3, 7))
    with transaction(app.state.engine) as session:
        jobs.heartbeat(session, claim, lease_seconds=600, events=[(EventKind.RESTORED, {"step": 4})])
    measured(app, claim, range(5, 6))
    one.round()
    told = server.metrics(server.only_run())
    assert [step for step, _loss in told["train/loss"]] == [1, 2, 3, 4, 5]
    assert [step for step, _loss in told["eval/loss"]] == [2, 5]
    assert row(app).step == 5


@pytest.mark.parametrize("when", ["while it goes on", "at its end"])
def test_a_server_that_comes_back_without_the_run_is_told_all_of_it_anew(
    app: FastAPI, storage: Storage, engineer: Person, server: MlflowServer, when: str
) -> None:
    run_id, claim = begun(app, storage)
    measured(app, claim, range(1, 4))
    one = teller(app, storage)
    one.round()
    server.runs.clear()
    server.experiments.clear()
    if when == "while it goes on":
        measured(app, claim, range(4, 6))
    else:
        ended(app, claim, JobState.CANCELLED)
    assert one.round() == 1
    assert "does not know this run any more" in shown(engineer, run_id)["detail"]
    if when == "while it goes on":
        ended(app, claim, JobState.CANCELLED)
    due_now(app)
    assert one.round() == 1
    told = server.only_run()
    last = 5 if when == "while it goes on" else 3
    assert [step for step, _loss in server.metrics(told)["train/loss"]] == list(range(1, last + 1))
    assert told["info"]["status"] == "KILLED"
    assert told["params"]
    assert shown(engineer, run_id)["url"].endswith(told["info"]["run_id"])


def test_of_each_run_one_worker_tells_and_after_weeks_of_refusal_nobody(
    app: FastAPI, storage: Storage, server: MlflowServer
) -> None:
    _run_id, claim = begun(app, storage)
    measured(app, claim, range(1, 3))
    assert teller(app, storage, "w1").round() == 1
    measured(app, claim, range(3, 5))
    assert teller(app, storage, "w2").round() == 0, "the first holds it"
    assert teller(app, storage, "w1").round() == 1
    server.runs.clear()
    measured(app, claim, range(5, 7))
    due_now(app, failing_since=utc_now() - PATIENCE - timedelta(hours=1), failures=9)
    teller(app, storage, "w1").round()
    assert row(app).state is TrackingState.GIVEN_UP
    assert row(app).remark is not None
    due_now(app)
    assert teller(app, storage, "w1").round() == 0


def test_a_run_stays_with_the_server_that_it_was_promised_to(
    app: FastAPI, storage: Storage, engineer: Person, server: MlflowServer
) -> None:
    run_id, claim = begun(app, storage)
    measured(app, claim, range(1, 3))
    elsewhere = app.state.settings.model_copy(update={"mlflow_uri": "http://127.0.0.1:1"})
    assert teller(app, storage, settings=elsewhere).round() == 0
    app.state.settings = elsewhere
    assert f"names {server.uri} again" in shown(engineer, run_id)["detail"]
    assert "Waits" in visible_text(engineer.browser.get(f"/runs/{run_id}/trackers").text)
    with transaction(app.state.engine) as session:
        place = Workplace(elsewhere, storage, "jobs/1/2")
        Train(follow_up=lambda *_args: None).child_input(session, place, claim)
    assert row(app).destination == server.uri, "nor is it promised twice"


def test_an_installation_without_trackers_promises_nothing(
    app: FastAPI, storage: Storage, engineer: Person
) -> None:
    app.state.settings = app.state.settings.model_copy(update={"mlflow_uri": ""})
    run_id, _claim = begun(app, storage)
    assert engineer.api.get(f"/api/v1/runs/{run_id}/trackers").json() == []
    assert engineer.api.get(f"/api/v1/runs/{run_id + 1}/trackers").status_code == 404


def test_a_worker_tells_by_itself_while_a_run_goes_on(
    app: FastAPI, storage: Storage, server: MlflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("worker.parent.tracking.PAUSE_SECONDS", 0.02)
    _run_id, claim = begun(app, storage)
    measured(app, claim, range(1, 3))
    stop = threading.Event()
    start_tracking(app.state.engine, app.state.settings, storage, stop)
    # The server, of which each request has a thread of its own, is in this process too.
    (thread,) = (one for one in threading.enumerate() if isinstance(one, TrackingThread))

    def is_told() -> bool:
        assert thread.is_alive()
        return bool(server.runs and server.only_run()["metrics"])

    try:
        wait_until(is_told, timeout_seconds=HANGING_SECONDS, what="the first figures")
        server.silent.set()
        measured(app, claim, range(3, 5))
        ended(app, claim, JobState.CANCELLED)
    finally:
        stop.set()
        server.over.set()
        thread.join(120)
    assert not thread.is_alive()
    assert row(app).step == 2
