"""`make trackers`: runs of the real worker, told to a real MLflow server and read back by MLflow's own client.

One run from beginning to end; one during which the server is killed, and started again after the run has ended; one during which it
hangs; one that is paused and goes on; one whose worker is killed; one whose server comes back with an empty database; one that is
cancelled; one that fails. What the client finds is compared with what REST says of the run: every parameter, every figure at its
step, state, address, files. What differs makes it fail.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from app.core.settings import Settings
from app.recipes.fields import display
from app.trackers.telling import PAUSES_SECONDS
from tests.faults.together import owner_of
from tests.interop.material import tiny_model
from tests.support.installation import InThisProcess, Studio, installed, prepare
from tests.support.workers import running_worker, wait_until
from tests.trackers.real_mlflow import PASSWORD, USER, RealMlflow, python_with_mlflow, serving_real_mlflow

EXPERIMENT = "Sales, 销售"
CONVERSATIONS = 16
# Other work may keep the machine busy; nothing is measured.
SECONDS_AT_MOST = 900
FIGURES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "tokens_per_second": "train/tokens_per_second",
    "memory_bytes": "system/memory_bytes",
}
# By kind of event, the field and the figure's name in the tracker.
NAMED: dict[str, dict[str, str]] = {"metric": FIGURES, "eval": {"eval_loss": "eval/loss"}}


KILLED = "a run whose worker is killed"


def main() -> int:
    asked = _asked()
    wrong: list[str] = []
    python = python_with_mlflow()
    with tempfile.TemporaryDirectory(prefix="sft-studio-trackers-") as name:
        folder = Path(name)
        with serving_real_mlflow(python, folder / "mlflow") as server:
            os.environ["SFT_STUDIO_MLFLOW_URI"] = server.uri
            os.environ["SFT_STUDIO_MLFLOW_EXPERIMENT"] = EXPERIMENT
            os.environ["SFT_STUDIO_MLFLOW_USERNAME"] = USER
            os.environ["SFT_STUDIO_MLFLOW_PASSWORD"] = PASSWORD
            os.environ["SFT_STUDIO_PUBLIC_URL"] = "https://studio.example.com"
            model = tiny_model(folder)
            settings = Settings(data_dir=folder / "data", model_roots=(folder,))
            with installed(settings) as studio, ExitStack() as workers:
                workers.enter_context(running_worker(settings))
                base = prepare(studio, model)
                check = studio.check(studio.version(CONVERSATIONS), base)
                ways: dict[str, Way] = {**WAYS, KILLED: partial(handed_over, workers), **LAST}
                for title, way in ways.items():
                    if title in asked:
                        say(title)
                        way(studio, check, base, server, wrong)
    for line in wrong:
        say(f"differs: {line}")
    say("MLflow has every parameter, figure, state and file" if not wrong else f"{len(wrong)} differences")
    return bool(wrong)


def _asked() -> list[str]:
    titles = [*WAYS, KILLED, *LAST]
    parser = argparse.ArgumentParser(prog="make trackers", description=__doc__)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of: {'; '.join(titles)}; without any, all")
    asked: list[str] = parser.parse_args().ways
    if strange := set(asked) - set(titles):
        parser.error(f"there is no way {', '.join(sorted(strange))}; there are: {'; '.join(titles)}")
    return asked or titles


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def whole(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    run = start(studio, check, max_steps=20)
    studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    compare(studio, run, server, wrong, "FINISHED")


def killed_meanwhile(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    run = start(studio, check, max_steps=400)
    wait_until(
        lambda: (told(studio, run)["step"] or 0) > 0,
        timeout_seconds=SECONDS_AT_MOST,
        what="the first figures",
    )
    server.kill()
    wait_until(
        lambda: told(studio, run)["failures"] > 0,
        timeout_seconds=SECONDS_AT_MOST,
        what="the server is missed",
    )
    say(f"  told up to step {told(studio, run)['step']}: {told(studio, run)['detail']}")
    studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    say("  the run has ended meanwhile; the server starts again")
    server.start()
    compare(studio, run, server, wrong, "FINISHED")


def hanging(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    run = start(studio, check, max_steps=400)
    wait_until(
        lambda: (told(studio, run)["step"] or 0) > 0,
        timeout_seconds=SECONDS_AT_MOST,
        what="the first figures",
    )
    server.freeze()
    try:
        wait_until(
            lambda: told(studio, run)["failures"] > 0,
            timeout_seconds=SECONDS_AT_MOST,
            what="the server is missed",
        )
        say(f"  told up to step {told(studio, run)['step']}: {told(studio, run)['detail']}")
        studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    finally:
        server.thaw()
    compare(studio, run, server, wrong, "FINISHED")


def paused(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    run = start(studio, check, max_steps=400)
    wait_until(
        lambda: (told(studio, run)["step"] or 0) > 0,
        timeout_seconds=SECONDS_AT_MOST,
        what="the first figures",
    )
    studio.ok(studio.api.post(f"/api/v1/runs/{run['id']}/pause"))
    studio.wait_for(run["job"], "paused", SECONDS_AT_MOST)
    say(f"  paused after step {told(studio, run)['step']}")
    studio.ok(studio.api.post(f"/api/v1/runs/{run['id']}/resume"))
    studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    compare(studio, run, server, wrong, "FINISHED")


def handed_over(
    workers: ExitStack, studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]
) -> None:
    """Whoever goes on finds the tracker's run and tells the rest."""
    run = start(studio, check, max_steps=400, save_steps=20)
    wait_until(
        lambda: (told(studio, run)["step"] or 0) > 25,
        timeout_seconds=SECONDS_AT_MOST,
        what="the first figures",
    )
    assert isinstance(studio, InThisProcess)
    psutil.Process(owner_of(studio, run["job"]["id"])).kill()
    workers.enter_context(running_worker(studio.settings))
    studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    compare(studio, run, server, wrong, "FINISHED")


def forgotten(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    run = start(studio, check, max_steps=400)
    wait_until(
        lambda: (told(studio, run)["step"] or 0) > 0,
        timeout_seconds=SECONDS_AT_MOST,
        what="the first figures",
    )
    server.lose_database()
    wait_until(
        lambda: "any more" in told(studio, run)["detail"],
        timeout_seconds=SECONDS_AT_MOST,
        what="the run is missed",
    )
    studio.wait_for(run["job"], "succeeded", SECONDS_AT_MOST)
    compare(studio, run, server, wrong, "FINISHED")


def cancelled(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    run = start(studio, check, max_steps=5000)
    wait_until(
        lambda: (told(studio, run)["step"] or 0) > 0,
        timeout_seconds=SECONDS_AT_MOST,
        what="the first figures",
    )
    studio.ok(studio.api.post(f"/api/v1/runs/{run['id']}/stop"))
    studio.wait_for(run["job"], "cancelled", SECONDS_AT_MOST)
    compare(studio, run, server, wrong, "KILLED")


def failed(studio: Studio, check: Any, base: Any, server: RealMlflow, wrong: list[str]) -> None:
    """The last of this worker's: there is no model any more."""
    for folder in (Path(base["reference"]), studio.settings.storage_dir):
        for weights in folder.rglob("model.safetensors"):
            weights.unlink()
    run = start(studio, check, max_steps=20)
    studio.wait_for(run["job"], "failed", SECONDS_AT_MOST)
    compare(studio, run, server, wrong, "FAILED")


Way = Callable[[Studio, Any, Any, RealMlflow, list[str]], None]
WAYS: dict[str, Way] = {
    "a run from beginning to end": whole,
    "a run during which the server is killed": killed_meanwhile,
    "a run during which the server hangs": hanging,
    "a run that is paused and goes on": paused,
    "a run that is cancelled": cancelled,
    "a run whose server comes back with an empty database": forgotten,
}
LAST: dict[str, Way] = {"a run that fails": failed}


def start(studio: Studio, check: Any, **changes: Any) -> dict[str, Any]:
    usual = {
        "logging_steps": 1,
        "eval_steps": 5,
        "sample_count": 0,
        "bf16": False,
        "early_stopping_patience": 0,
    }
    return studio.start_run(check, **usual, **changes)


def told(studio: Studio, run: dict[str, Any]) -> dict[str, Any]:
    """How the run stands with MLflow; before it has begun, as one of which nothing was told."""
    found = studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}/trackers"))
    return dict(found[0]) if found else {"step": None, "failures": 0, "state": "waiting", "detail": ""}


def compare(studio: Studio, run: dict[str, Any], server: RealMlflow, wrong: list[str], status: str) -> None:
    wait_until(
        lambda: told(studio, run)["state"] == "told",
        timeout_seconds=SECONDS_AT_MOST + PAUSES_SECONDS[-1],
        what="all is told",
    )
    run = studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}"))
    found = server.runs(EXPERIMENT)[-1]
    stands = told(studio, run)
    expected = {
        "status": status,
        "tags": {
            "sft_studio.run": str(run["id"]),
            "sft_studio.url": f"https://studio.example.com/runs/{run['id']}",
            "sft_studio.mask_hash": run["arrays_hash"],
        },
        "url": f"{server.uri}/#/experiments/1/runs/{found['id']}",
        "params": {name: display(value) for name, value in run["config"].items()},
    }
    params = {name: value for name, value in found["params"].items() if not name.startswith("mask.")}
    tags = {name: found["tags"].get(name) for name in expected["tags"]}
    seen = {"status": found["status"], "tags": tags, "url": stands["url"], "params": params}
    wrong += [
        f"run {run['id']}: {name} is {seen[name]}, not {expected[name]}"
        for name in seen
        if seen[name] != expected[name]
    ]
    count = compare_figures(studio, run, found, wrong)
    manifest = json.loads(found["files"].get("manifest.json", "{}"))
    if manifest.get("provenance", {}).get("arrays_hash") != run["arrays_hash"]:
        wrong.append(f"run {run['id']}: its manifest is not there")
    if status == "FINISHED" and not {"README.md", "sft_studio.json"} <= set(found["files"]):
        wrong.append(f"run {run['id']}: of its files there are only {sorted(found['files'])}")
    say(
        f"  {found['status']}, {len(params)} parameters, {count} figures, files: {', '.join(sorted(found['files']))}"
    )


def compare_figures(studio: Studio, run: dict[str, Any], found: dict[str, Any], wrong: list[str]) -> int:
    """Every figure that stands, at its step. One that a later attempt has taken back is there only where it was told before that."""
    events = studio.events(run["job"]["id"])
    ever = points_of(events)
    for name, points in points_of(standing(events)).items():
        there = Counter((step, value) for step, value, _at in found["metrics"].get(name, []))
        if not (points <= there <= ever[name]):
            wrong.append(
                f"run {run['id']}: {name} has {there.total()} points, not {points.total()} to {ever[name].total()}, or others"
            )
    return sum(len(points) for points in found["metrics"].values())


def points_of(events: Iterable[dict[str, Any]]) -> dict[str, Counter[tuple[int, float]]]:
    """By the figure's name in the tracker: step and value."""
    points: dict[str, Counter[tuple[int, float]]] = {}
    for event in events:
        for key, name in NAMED.get(event["kind"], {}).items():
            if event.get(key) is not None:
                points.setdefault(name, Counter())[event["step"], event[key]] += 1
    return points


def standing(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the steps that an attempt told of beyond the checkpoint from which the next one went on."""
    kept: list[dict[str, Any]] = []
    for event in events:
        if event["kind"] == "restored":
            kept = [one for one in kept if one.get("step") is None or one["step"] <= event["step"]]
        kept.append(event)
    return kept


if __name__ == "__main__":
    sys.exit(main())
