"""A worker killed in what comes after training: an export and an evaluation."""

import random
import time
from typing import Any

from tests.faults.outages import require_whole
from tests.faults.studio import PATIENCE_SECONDS, Told, end_of
from tests.support.installation import InThisProcess
from tests.support.workers import running_worker, wait_until

Check = dict[str, Any]
SUITE = "sales-en"


def kill_in_what_follows(studio: InThisProcess, check: Check, dice: random.Random) -> list[Told]:
    """Files and answers are there once, whole, and those of jobs that nobody disturbed."""
    with running_worker(studio.settings) as worker:
        run = studio.start_run(check, max_steps=4)
        told = [end_of(studio, run["job"]["id"])]
        alone = _asked(studio, run, "evaluations", suite=SUITE)
        told.append(end_of(studio, alone["job"]["id"]))
        export = _asked(studio, run, "exports", kind="gguf")
        _wait_for(studio, export, "running")
        time.sleep(dice.uniform(0, 2))
        worker.kill()
        worker.wait(60)
    with running_worker(studio.settings) as worker:
        told.append(end_of(studio, export["job"]["id"]))
        again = _asked(studio, run, "evaluations", suite=SUITE)
        _wait_for(studio, again, "progress")
        worker.kill()
        worker.wait(60)
    with running_worker(studio.settings):
        told.append(end_of(studio, again["job"]["id"]))
    require_whole(studio)
    files = studio.ok(studio.api.get(f"/api/v1/exports/{export['id']}"))["files"]
    assert any(file["name"].endswith(".gguf") for file in files), files
    assert _answers(studio, again) == _answers(studio, alone)
    return told


def _asked(studio: InThisProcess, run: dict[str, Any], what: str, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = studio.ok(studio.api.post(f"/api/v1/runs/{run['id']}/{what}", json=body))
    return found


def _wait_for(studio: InThisProcess, asked: dict[str, Any], word: str) -> None:
    """Until an event is of that kind, or says that the job is in that state."""
    wait_until(
        lambda: any(
            word in (event["kind"], event.get("state")) for event in studio.events(asked["job"]["id"])
        ),
        timeout_seconds=PATIENCE_SECONDS,
        what=f"{word} of job {asked['job']['id']}",
    )


def _answers(studio: InThisProcess, evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """All but how long they took."""
    found = studio.ok(studio.api.get(f"/api/v1/evaluations/{evaluation['id']}"))
    return [{**answer, "seconds": 0} for answer in found["answers"]]
