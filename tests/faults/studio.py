"""An installation whose runs take seconds."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.core.settings import Settings
from app.runs.preflight.items import Name
from tests.support.installation import Studio
from tests.support.processes import below
from tests.support.workers import wait_until

# Two starts of torch in several processes took 150 of them on two cores with a load of ten.
PATIENCE_SECONDS = 600
STEPS = 40
# A watch of seconds instead of a quarter of an hour, and in the data folder the file that lets a job hang: the steps to be done before.
STILL_SECONDS = 6.0
HANG_AFTER = "hang-after"
FINAL = ("succeeded", "failed", "cancelled")


def hasty(folder: Path, **more: Any) -> Settings:
    """Leases of seconds, so that a rescue comes soon."""
    return Settings(
        data_dir=folder / "data",
        model_roots=(folder,),
        lease_seconds=3,
        reconcile_seconds=0.5,
        worker_wait_seconds=2,
        **more,
    )


def patient(studio: Studio, lease_seconds: float = 60) -> Settings:
    """For a worker that loses no lease where the machine is slow."""
    return studio.settings.model_copy(update={"lease_seconds": lease_seconds})


@dataclass(frozen=True)
class Told:
    """What came of a job: its end, its attempts, and whether its events tell everything once and in order."""

    state: str
    attempt: int
    error_code: str | None
    in_order: bool
    ends: int
    # What else was counted on the way, by what it was.
    figures: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """One end, and no event lost or told twice."""
        return self.in_order and self.ends == 1


def start(studio: Studio, check: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A short run on a finished check, saving often; its job."""
    body = {
        "mask_check_id": check["id"],
        "recipe": "quick",
        "confirmed": True,
        "accepted_warnings": list(Name),
        "changes": {
            "gradient_accumulation_steps": 1,
            "per_device_train_batch_size": 1,
            "max_steps": STEPS,
            "logging_steps": 1,
            "save_steps": 4,
            "save_total_limit": 3,
            **changes,
        },
    }
    job: dict[str, Any] = studio.ok(studio.api.post("/api/v1/runs", json=body))["job"]
    return job


def wait_for_event(studio: Studio, job_id: int, kind: str) -> None:
    """Until the job told such an event."""
    wait_until(
        lambda: any(event["kind"] == kind for event in studio.events(job_id)),
        timeout_seconds=PATIENCE_SECONDS,
        what=f"an event {kind}",
    )


def end_of(studio: Studio, job_id: int, **figures: int) -> Told:
    """Wait for the end, however it is."""
    wait_until(
        lambda: studio.job(job_id)["state"] in FINAL,
        timeout_seconds=PATIENCE_SECONDS,
        what="the end of the job",
    )
    job, events = studio.job(job_id), studio.events(job_id)
    return Told(
        job["state"],
        job["attempt"],
        job["error_code"],
        [event["seq"] for event in events] == list(range(1, len(events) + 1)),
        sum(event["kind"] == "state" and event["state"] in FINAL for event in events),
        figures,
    )


def kept(studio: Studio, job_id: int, **figures: int) -> Told:
    """Let a run without an end of its own go some steps further, and end it; one that has ended is told as it is."""
    before = max(studio.steps_told(job_id), default=0)
    wait_until(
        lambda: (
            studio.job(job_id)["state"] in FINAL or max(studio.steps_told(job_id), default=0) > before + STEPS
        ),
        timeout_seconds=PATIENCE_SECONDS,
        what="further steps",
    )
    if studio.job(job_id)["state"] not in FINAL:
        studio.ok(studio.api.post(f"/api/v1/jobs/{job_id}/stop?how=save"))
    return end_of(studio, job_id, **figures)


def child_of(worker_pid: int, seconds: float = PATIENCE_SECONDS) -> psutil.Process:
    """The process that does a job for this worker."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := below(worker_pid, "worker.work.child"):
            return found[0]
        time.sleep(0.05)
    raise AssertionError("the worker started no child")
