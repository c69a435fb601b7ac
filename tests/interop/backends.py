"""Runs that other tools train as backends, through the product: REST, worker, tool, registered run, evaluation, export."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.interop.environments import setting_of
from app.interop.handing import Tool
from tests.benchmarks.measuring import median
from tests.interop import tools
from tests.interop.material import STEPS, WARM_UP, config_of
from tests.support.installation import Studio, installed, prepare
from tests.support.small_model import small_model_folder
from tests.support.workers import running_worker

CONVERSATIONS = 21
SECONDS_AT_MOST = 1800
# How far a held-out loss may lie from the studio's own after the same steps.
NEAR_HELD_OUT = 0.005
# As the log of a run says it, whatever trains.
_TRAINED = re.compile(r"([\d,]+) trained tokens")


def train_with(chosen: list[Tool], folder: Path, wrong: list[str], near: float) -> dict[str, Any]:
    """A run of the studio and one of each tool on the same mask check; the figures by name. What differs goes to `wrong`."""
    for tool in chosen:
        os.environ[setting_of(tool)] = str(tools.python_of(tool))
    model = small_model_folder()
    settings = Settings(data_dir=folder / "data", model_roots=(model,))
    figures: dict[str, Any] = {}
    with installed(settings) as studio, running_worker(settings, threads=""):
        version, base = studio.version(CONVERSATIONS), prepare(studio, model)
        for name in ("studio", *chosen):
            print(f"{name} trains through REST and the worker", file=sys.stderr, flush=True)
            told = figures[name] = _run(studio, version, base, name)
            _judge(name, told, figures["studio"], wrong, near)
            if name != "studio":
                _use(studio, told["run"])
    return figures


def _run(studio: Studio, version: dict[str, Any], base: dict[str, Any], backend: str) -> dict[str, Any]:
    changes = config_of(sample_count=0, backend=backend).to_json()
    run = studio.start_run(studio.check(version, base), **changes)
    job = studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    run = studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}"))
    events = studio.events(job["id"])
    metrics = [event for event in events if event["kind"] == "metric"]
    said = [_TRAINED.search(event["message"]) for event in events if event["kind"] == "log"]
    result = run["result"]
    return {
        "run": run["id"],
        "version": (result["trained_by"] or " ").rpartition(" ")[2],
        "trained_tokens": next(int(found[1].replace(",", "")) for found in said if found),
        "samples_seen": f"{result['labels_seen']} of {result['labels_total']}",
        "labels_hash": result["labels_hash"],
        "losses": {event["step"]: event["loss"] for event in metrics},
        "held_out": result["eval_loss"],
        "tokens_per_second": median([event["tokens_per_second"] for event in metrics[WARM_UP:]]),
        "peak_memory_bytes": result["peak_memory_bytes"],
        "stopped": result["stop_reason"],
    }


def _judge(name: str, told: dict[str, Any], ours: dict[str, Any], wrong: list[str], near: float) -> None:
    if any(told[same] != ours[same] for same in ("labels_hash", "trained_tokens", "samples_seen")):
        wrong.append(f"{name} as a backend trained other tokens")
    told["apart"] = max(abs(loss - ours["losses"][step]) for step, loss in told["losses"].items())
    if len(told["losses"]) != STEPS or told["apart"] > near:
        wrong.append(f"{name} as a backend: losses are {told['apart']:.4f} apart")
    if abs(told["held_out"] - ours["held_out"]) > NEAR_HELD_OUT:
        wrong.append(f"{name} as a backend: its held-out loss is {told['held_out']:.4f}")


def _use(studio: Studio, run: int) -> None:
    """Evaluated and exported as any other run."""
    body = {"suite": "sales-en", "max_cases": 1}
    evaluation = studio.ok(studio.api.post(f"/api/v1/runs/{run}/evaluations", json=body))
    studio.wait_for(evaluation["job"], "succeeded", SECONDS_AT_MOST)
    export = studio.ok(studio.api.post(f"/api/v1/runs/{run}/exports", json={"kind": "adapter"}))
    studio.wait_for(export["job"], "succeeded", SECONDS_AT_MOST)
