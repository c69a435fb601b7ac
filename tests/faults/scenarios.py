"""One function a fault: it starts a run, does the harm at some moment of it, and says what came of the job."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from tests.faults.afterwards import kill_in_what_follows
from tests.faults.hanging import hang, hang_tool, hold_tool
from tests.faults.outages import break_postgres, fill_disk, flush_redis, lose_both_servers, stop_redis
from tests.faults.places import Place, embedded, on_servers, on_small_disk
from tests.faults.studio import (
    FINAL,
    PATIENCE_SECONDS,
    Told,
    child_of,
    end_of,
    kept,
    patient,
    start,
    wait_for_event,
)
from tests.faults.together import disturb_sweep, hand_over_curriculum
from tests.faults.web import kill_web
from tests.support.broker_folders import lose, replaced_by_a_file
from tests.support.installation import UNTIL_STOPPED, Studio
from tests.support.processes import below
from tests.support.workers import running_worker, wait_until

Check = dict[str, Any]


def kill_child(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The job's process is killed: another attempt goes on, or, where the system does not tell what it kills for memory, the job ends
    with that reason."""
    with running_worker(patient(studio)) as worker:
        job = start(studio, check, **UNTIL_STOPPED)
        child = child_of(worker.pid)
        time.sleep(dice.uniform(0, 3))
        child.kill()
        wait_until(
            lambda: studio.job(job["id"])["state"] in FINAL or studio.job(job["id"])["attempt"] == 2,
            timeout_seconds=PATIENCE_SECONDS,
            what="another attempt, or the end",
        )
        return [kept(studio, job["id"])]


def kill_tool(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The process of another trainer is killed, below a child that lives on: as with a child."""
    return _kill_below(studio, check, dice, "train.py", backend="trl")


def kill_other_process(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The second process of a run is killed: as with a child."""
    return _kill_below(studio, check, dice, "worker.work.training.other_process", num_processes=2)


def _kill_below(studio: Studio, check: Check, dice: random.Random, word: str, **changes: Any) -> list[Told]:
    """Of the child's own processes the one with this word in its command, once it has trained."""
    with running_worker(patient(studio)) as worker:
        job = start(studio, check, **UNTIL_STOPPED, **changes)
        wait_for_event(studio, job["id"], "metric")
        found = below(child_of(worker.pid), word)[0]
        time.sleep(dice.uniform(0, 1))
        found.kill()
        return [kept(studio, job["id"])]


def kill_worker(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The worker is killed: another goes on from the newest checkpoint."""
    with running_worker(studio.settings) as worker:
        job = start(studio, check)
        child_of(worker.pid)
        time.sleep(dice.uniform(0, 4))
        worker.kill()
        worker.wait(60)
        with running_worker(studio.settings):
            return [end_of(studio, job["id"])]


def freeze_worker(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The worker stands still past its lease and comes back: what it writes then changes nothing, its child ends."""
    with running_worker(patient(studio, 8)) as worker:
        job = start(studio, check, **UNTIL_STOPPED)
        wait_for_event(studio, job["id"], "metric")
        child = child_of(worker.pid)
        worker.send_signal(signal.SIGSTOP)
        before = studio.job(job["id"])["attempt"]
        try:
            with running_worker(patient(studio)):
                wait_until(
                    lambda: studio.job(job["id"])["attempt"] > before,
                    timeout_seconds=PATIENCE_SECONDS,
                    what="the rescue by the other worker",
                )
                time.sleep(dice.uniform(0, 1))
                worker.send_signal(signal.SIGCONT)
                assert psutil.wait_procs([child], timeout=PATIENCE_SECONDS)[1] == [], (
                    "the frozen worker's child goes on"
                )
                told = kept(studio, job["id"])
        finally:
            worker.send_signal(signal.SIGCONT)
        return [told]


def tear_checkpoint(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The worker dies and a file of its newest checkpoint breaks off somewhere: the one before is taken."""
    with running_worker(studio.settings) as worker:
        job = start(studio, check, **UNTIL_STOPPED)
        wait_for_event(studio, job["id"], "checkpoint")
        time.sleep(dice.uniform(0, 1))
        worker.kill()
        worker.wait(60)
    folder = studio.settings.storage_dir / "jobs" / str(job["id"])
    newest = max(folder.rglob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    file = dice.choice(sorted(path for path in newest.iterdir() if path.stat().st_size))
    os.truncate(file, dice.randrange(file.stat().st_size))
    with running_worker(studio.settings):
        return [kept(studio, job["id"])]


def lose_broker_folder(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """The folder of messages is deleted while a job waits."""
    job = start(studio, check, max_steps=4)
    lose(studio.settings.broker_dir)
    with running_worker(studio.settings):
        time.sleep(dice.uniform(0, 2))
        lose(studio.settings.broker_dir)
        return [end_of(studio, job["id"])]


def replace_broker_folder(studio: Studio, check: Check, dice: random.Random) -> list[Told]:
    """A file stands where the folder of messages was, for a while."""
    with running_worker(studio.settings):
        job = start(studio, check, max_steps=4)
        with replaced_by_a_file(studio.settings.broker_dir):
            time.sleep(dice.uniform(1, 3))
        return [end_of(studio, job["id"])]


@dataclass(frozen=True)
class Scenario:
    """A fault, where it is done, and the ends that its jobs may come to beside success."""

    fault: Callable[[Any, Check, random.Random], list[Told]]
    place: Place = embedded
    ends: frozenset[str] = frozenset()


SCENARIOS: dict[str, Scenario] = {
    "child killed": Scenario(kill_child, ends=frozenset({"failed"})),
    "another trainer killed": Scenario(kill_tool, ends=frozenset({"failed"})),
    "second process killed": Scenario(kill_other_process, ends=frozenset({"failed"})),
    "a step hangs": Scenario(hang),
    "another trainer hangs": Scenario(hang_tool),
    "another trainer held by a person": Scenario(hold_tool),
    "worker killed": Scenario(kill_worker),
    "worker frozen past its lease": Scenario(freeze_worker),
    "web server killed": Scenario(kill_web),
    "newest checkpoint torn": Scenario(tear_checkpoint),
    "worker killed in an export and an evaluation": Scenario(kill_in_what_follows),
    "broker folder deleted": Scenario(lose_broker_folder),
    "file in place of the broker folder": Scenario(replace_broker_folder),
    "disk full": Scenario(fill_disk, on_small_disk, frozenset({"failed"})),
    "Redis flushed": Scenario(flush_redis, on_servers),
    "Redis stopped": Scenario(stop_redis, on_servers),
    "PostgreSQL broken off": Scenario(break_postgres, on_servers),
    "both servers lost": Scenario(lose_both_servers, on_servers),
    "curriculum handed over twice": Scenario(hand_over_curriculum, on_servers),
    "sweep of two workers disturbed": Scenario(disturb_sweep, on_servers),
}
