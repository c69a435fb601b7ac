"""A real Celery worker process for tests."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
ALL_QUEUES = "training,default,interactive"


def _environment(settings: Settings, threads: str, more: dict[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        **more,
        "SFT_STUDIO_DATA": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SFT_STUDIO_LEASE_SECONDS": str(settings.lease_seconds),
        "SFT_STUDIO_WORKER_WAIT_SECONDS": str(settings.worker_wait_seconds),
        "SFT_STUDIO_RECONCILE_SECONDS": str(settings.reconcile_seconds),
        "SFT_STUDIO_TRAINING_PER_DEVICE": str(settings.training_per_device),
        **({"OMP_NUM_THREADS": threads} if threads else {}),
    }


@contextmanager
def running_worker(
    settings: Settings, threads: str = "1", *, application: str = "worker.parent.celery_app", **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`celery worker` on these settings; terminated, then killed, when the block ends. `threads` of a job, empty: its own; `more` for its
    environment."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        application,
        "worker",
        "--pool",
        "threads",
    ]
    command += [
        "--concurrency",
        "2",
        "-Q",
        ALL_QUEUES,
        "--without-gossip",
        "--without-mingle",
        "--loglevel",
        "WARNING",
    ]
    log = settings.data_dir / "test-worker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(settings, threads, more),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float, what: str) -> None:
    """Wait for something that other processes do. Fails with `what` did not happen."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout_seconds:.0f} s")
        time.sleep(0.2)
