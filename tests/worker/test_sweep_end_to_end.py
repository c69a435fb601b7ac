"""A sweep through a real worker to its table and its best run; one of its runs paused over a restart of the worker."""

from typing import Any

import pytest

from app.runs.preflight.items import Name
from tests.support.installation import UNTIL_STOPPED, Ready, Studio
from tests.support.workers import running_worker

CHANGES = {
    "early_stopping_patience": UNTIL_STOPPED["early_stopping_patience"],
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "learning_rate": 2e-3,
    "logging_steps": 10,
    "eval_steps": 20,
    "save_steps": 1_000_000,
    "lora_r": 8,
    "lora_dropout": 0.1,
    "sample_count": 0,
}
STEPS = (20, UNTIL_STOPPED["max_steps"])


def losses(studio: Studio, run_id: int) -> dict[tuple[str, int], float]:
    """By kind and step, in their order."""
    job = studio.ok(studio.api.get(f"/api/v1/runs/{run_id}"))["job"]
    return {
        (event["kind"], event["step"]): event.get("loss", event.get("eval_loss"))
        for event in studio.events(job["id"])
        if event["kind"] in ("metric", "eval")
    }


def job_of(studio: Studio, run_id: int) -> dict[str, Any]:
    found: dict[str, Any] = studio.ok(studio.api.get(f"/api/v1/runs/{run_id}"))["job"]
    return found


@pytest.mark.timeout(900)
def test_a_sweep_comes_to_its_best_run_and_a_pause_over_a_restart_changes_no_loss(ready: Ready) -> None:
    studio, settings = ready.studio, ready.worker_settings(worker_wait_seconds=1)
    with running_worker(settings):
        body = {
            "mask_check_id": ready.check["id"],
            "recipe": "quick",
            "changes": CHANGES,
            "axes": [{"fields": ["max_steps"], "values": list(STEPS)}],
            "confirmed": True,
            "accepted_warnings": list(Name),
        }
        sweep = studio.ok(studio.api.post("/api/v1/sweeps", json=body))
        short, long = (run["run_id"] for run in sweep["runs"])
        studio.wait_for(job_of(studio, short), "succeeded", 240)
        job_id = job_of(studio, long)["id"]
        studio.wait_for_step(job_id)
        studio.ok(studio.api.post(f"/api/v1/runs/{long}/pause"))
        studio.wait_for(job_of(studio, long), "paused", 240)
    before = losses(studio, long)
    paused_at = max(studio.steps_told(job_id))
    with running_worker(settings):
        studio.ok(studio.api.post(f"/api/v1/runs/{long}/resume"))
        studio.wait_for_step(job_id, after=paused_at + 20)
        studio.keep(studio.ok(studio.api.get(f"/api/v1/runs/{long}")))
        table = studio.ok(studio.api.get(f"/api/v1/sweeps/{sweep['id']}"))
        whole = studio.ok(studio.api.post(f"/api/v1/runs/{long}/again"))
        studio.wait_for_step(whole["job"]["id"], after=paused_at + 20)
        studio.keep(whole)
    resumed, unbroken = losses(studio, long), losses(studio, whole["id"])
    assert list(resumed.items())[: len(before)] == list(before.items())
    # Each was stopped at a step of its own, where its last held-out loss was measured: what both have is the same.
    both = resumed.keys() & unbroken.keys()
    later = [kind for kind, step in both if step > paused_at]
    assert later.count("metric") >= 2
    assert later.count("eval") >= 1
    assert {key: resumed[key] for key in both} == {key: unbroken[key] for key in both}
    assert job_of(studio, long)["attempt"] == 2
    assert table["is_over"] is True
    assert [run["state"] for run in table["runs"]] == ["succeeded", "succeeded"]
    best = {run["run_id"]: run["best_eval_loss"] for run in table["runs"]}
    assert table["best_run_id"] == min(best, key=lambda run_id: best[run_id])
    assert [run["total_steps"] for run in table["runs"]] == list(STEPS)
