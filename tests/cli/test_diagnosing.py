"""What the command line says of a run's curves and answers, and of runs side by side."""

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.runs.service import RunRequest, start_run
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
    assert "--set lora_dropout=0.1" in said.stderr
    assert "It depends." in live.run("samples", "--run", "1").stdout
    compared = live.run("compare", "--run", "1", "--run", "2")
    assert "lora_dropout 0.05 0.1" in " ".join(compared.stdout.split())
    assert "/runs/compare?run=1&run=2" in compared.stderr
    assert "two to 4 runs" in live.run("compare", "--run", "1").error
