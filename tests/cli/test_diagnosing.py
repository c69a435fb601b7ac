"""What the command line says of a run's curves and answers, and of runs side by side."""

import shlex

import pytest
from fastapi import FastAPI

from app.cli import watching
from app.client.rest import StudioClient
from app.client.waiting import last_seq
from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.service import RunRequest, start_run
from app.sentences import Failure, FailureCode
from tests.cli.conftest import LiveServer
from tests.support.training import ENGINEER, SUITES, make_run, metric

pytestmark = pytest.mark.usefixtures("silent_bell")


def test_a_run_is_diagnosed_its_answers_are_shown_and_it_is_compared(
    app: FastAPI, storage: Storage, live: LiveServer
) -> None:
    answer = {"step": 20, "prompt": 0, "asked": "How much?", "expected": None, "conversation_id": None}
    told = {"text": "It depends.", "tokens": 4, "finish_reason": "stop", "copied": None, "copied_from": None}
    evals = [
        ("eval", {"step": step, "eval_loss": loss})
        for step, loss in [(0, 4.0), (20, 3.0), (40, 3.4), (60, 3.5)]
    ]
    metrics = [metric(step, 4 - step / 20) for step in range(1, 61)]
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        jobs.heartbeat(
            session, claim, lease_seconds=300, events=[*metrics, *evals, ("sample", {**answer, **told})]
        )
        request = RunRequest(run.mask_check_id, "standard", {"lora_dropout": "0.1"}, "Second", confirmed=True)
        start_run(session, ENGINEER, request, suites=SUITES)
    (finding,) = live.run("diagnose", "--run", "1", "--json").json
    assert (finding["code"], finding["changes"]["lora_dropout"]) == ("overfitting", 0.1)
    said = live.run("diagnose", "--run", "1", LANG="zh_CN.UTF-8")
    assert "过拟合" in said.stderr
    # What it says is what starts the new run, as the button on the page does.
    (line,) = (line for line in said.stderr.splitlines() if "sft-studio again" in line)
    again = shlex.split(line[line.index("sft-studio") :])[1:]
    made = live.run(*again, "--no-wait", "--json").json
    assert {name: made["config"][name] for name in finding["changes"]} == finding["changes"]
    assert "It depends." in live.run("samples", "--run", "1").stdout
    compared = live.run("compare", "--run", "1", "--run", "2")
    assert "lora_dropout 0.05 0.1" in " ".join(compared.stdout.split())
    assert "/runs/compare?run=1&run=2" in compared.stderr
    assert "2 to 4 runs" in live.run("compare", "--run", "1").error


def _failed(app: FastAPI, storage: Storage) -> None:
    """A run that the system killed for want of memory."""
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        failure = Failure.of(FailureCode.OUT_OF_MEMORY, "There was not enough memory.")
        jobs.finish(session, claim, JobState.FAILED, failure=failure, events=[metric(1, 3.5)])


def test_a_run_that_failed_for_want_of_memory_says_by_rest_and_command_what_starts_it_smaller(
    app: FastAPI, storage: Storage, live: LiveServer
) -> None:
    _failed(app, storage)
    told = live.run("status", "--run", "1", "--json").json["remedy"]
    assert told["changes"]["per_device_train_batch_size"] == "2"
    assert (
        told["advice"] == "Try again with half the batch, twice the accumulation and gradient checkpointing."
    )
    for said in (live.run("status", "--run", "1"), live.run("watch", "--run", "1")):
        (line,) = (line for line in said.stderr.splitlines() if "sft-studio again" in line)
    assert said.code == 1
    assert "There was not enough memory." in said.error
    made = live.run(*shlex.split(line[line.index("sft-studio") :])[1:], "--no-wait", "--json").json
    config = made["config"]
    asked = (config["per_device_train_batch_size"], config["gradient_accumulation_steps"])
    assert (*asked, config["gradient_checkpointing"]) == (2, 8, True)
    assert live.run("status", "--run", str(made["id"]), "--json").json["remedy"] is None


def test_the_curves_and_the_log_of_a_run_are_shown(app: FastAPI, storage: Storage, live: LiveServer) -> None:
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        evals: list[jobs.EventData] = [("eval", {"step": 2, "eval_loss": 3.25})]
        jobs.heartbeat(
            session,
            claim,
            lease_seconds=300,
            events=[*(metric(step, 4 - step / 8) for step in (1, 2)), *evals],
        )
        folder = storage.path(f"jobs/{job.id}/1")
    shown = live.run("curves", "--run", "1")
    head, *rows = shown.stdout.splitlines()
    assert head.split()[:3] == ["step", "epoch", "Training"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert ("3.875" in rows[0], "–" in rows[0], "3.75" in rows[1], "3.25" in rows[1]) == (
        True,
        True,
        True,
        True,
    )
    assert "/runs/1" in shown.stderr
    assert live.run("curves", "--run", "1", "--json").json["eval_loss"] == [3.25]
    assert "验证集损失" in live.run("curves", "--run", "1", LANG="zh_CN.UTF-8").stdout
    assert "There is no run 9." in live.run("curves", "--run", "9").error

    assert "The log of run 1 is empty." in live.run("log", "--run", "1").stderr
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.txt").write_text("loading\ntraining\n", "utf-8")
    assert live.run("log", "--run", "1").stdout == "loading\ntraining\n"


def test_watch_tells_how_a_run_ended(app: FastAPI, storage: Storage, live: LiveServer) -> None:
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        told: list[jobs.EventData] = [metric(1, 3.5), ("eval", {"step": 1, "eval_loss": 3.25})]
        jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=told)
    watched = live.run("watch", "--run", "1", "--json")
    assert (watched.code, watched.json["job"]["state"]) == (0, "succeeded")
    assert "held-out loss 3.2500" in watched.stderr


def test_watch_does_not_miss_the_end_of_a_run_that_ends_while_it_begins_to_look(
    app: FastAPI, storage: Storage, live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None

    def ended_meanwhile(client: StudioClient, job_id: int) -> int:
        with transaction(app.state.engine) as session:
            jobs.finish(session, claim, JobState.SUCCEEDED, result={})
        return last_seq(client, job_id)

    monkeypatch.setattr(watching, "last_seq", ended_meanwhile)
    assert live.run("watch", "--run", "1").code == 0
