"""A run that hangs in the middle of a step, the studio's or another trainer's, and one that a person holds; beside undisturbed runs."""

import random
import time
from functools import partial
from typing import Any

import psutil

from tests.faults.studio import (
    HANG_AFTER,
    STILL_SECONDS,
    Told,
    end_of,
    patient,
    start,
    wait_for_event,
)
from tests.faults.together import require_same_curve
from tests.support.installation import InThisProcess
from tests.support.processes import below
from tests.support.workers import running_worker

Check = dict[str, Any]
STEPS, SAVED = 16, 4
watched_worker = partial(running_worker, application="tests.faults.short_watch")


def hang(studio: InThisProcess, check: Check, dice: random.Random, **changes: Any) -> list[Told]:
    """It is ended, its log says where it stood, and it goes on from its checkpoint to the curve of the undisturbed one."""
    config = {"max_steps": STEPS, "save_steps": SAVED, "eval_steps": SAVED, **changes}
    done = dice.randint(SAVED, STEPS - 1)
    with watched_worker(patient(studio)):
        alone = start(studio, check, **config)
        told = [end_of(studio, alone["id"])]
        order = studio.settings.data_dir / HANG_AFTER
        order.write_text(str(done))
        job = start(studio, check, **config)
        told.append(end_of(studio, job["id"]))
    assert not order.exists(), "it never hung"
    assert [(one.state, one.attempt) for one in told] == [("succeeded", 1), ("succeeded", 2)], told
    require_same_curve(studio, alone["id"], job["id"])
    log = (studio.settings.storage_dir / "jobs" / str(job["id"]) / "1" / "log.txt").read_text("utf-8")
    assert "threading.py" in log, "the log says where it stood"
    # Steps after the checkpoint alone are told once more.
    steps = studio.steps_told(job["id"])
    again = done - done // SAVED * SAVED
    assert sorted(steps) == sorted([*range(1, STEPS + 1), *range(done + 1 - again, done + 1)]), steps
    return told


def hang_tool(studio: InThisProcess, check: Check, dice: random.Random) -> list[Told]:
    """The process of another trainer hangs, below a child that does not."""
    return hang(studio, check, dice, backend="trl", sample_count=0)


def hold_tool(studio: InThisProcess, check: Check, dice: random.Random) -> list[Told]:
    """A person stops another trainer's process and lets it go on later: it is waited for, however long."""
    config = {"max_steps": STEPS, "backend": "trl", "sample_count": 0}
    with watched_worker(patient(studio)) as worker:
        alone = start(studio, check, **config)
        told = [end_of(studio, alone["id"])]
        job = start(studio, check, **config)
        wait_for_event(studio, job["id"], "metric")
        tool = below(worker.pid, "train.py")[0]
        tool.suspend()
        try:
            time.sleep(3 * STILL_SECONDS + dice.uniform(0, 1))
            assert tool.status() == psutil.STATUS_STOPPED
        finally:
            tool.resume()
        told.append(end_of(studio, job["id"]))
    assert [(one.state, one.attempt) for one in told] == [("succeeded", 1)] * 2, told
    require_same_curve(studio, alone["id"], job["id"])
    return told
