"""Start: `sft-studio serve` until it answers, on a new folder and again, and that the web process has no torch."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from tests.benchmarks.measuring import Goal, Result, Row, median
from tests.support.processes import end, family_of
from tests.support.servers import free_port

ROUNDS = 3
GOAL_SECONDS = 3.0
PATIENCE_SECONDS = 60.0


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Seconds to the first answer, and to the moment when the workers take jobs."""
    del model
    answered: dict[str, list[float]] = {"new folder": [], "again": []}
    ready: dict[str, list[float]] = {"new folder": [], "again": []}
    with_torch = False
    for number in range(ROUNDS):
        say(f"start: round {number + 1} of {ROUNDS}")
        with tempfile.TemporaryDirectory(prefix="sft-studio-bench-") as name:
            for kind in answered:
                first, workers, torch_there = _start(Path(name) / "data")
                answered[kind].append(first)
                ready[kind].append(workers)
                with_torch |= torch_there
    again = median(answered["again"])
    return Result(
        name="start",
        columns=("", "until it answers", "until the workers take jobs"),
        rows=[
            Row(kind, (f"{median(answered[kind]):.2f} s", f"{median(ready[kind]):.2f} s"))
            for kind in answered
        ],
        compared=(
            f"`sft-studio serve` with both workers, from the start of the process to the first 200 of /healthz; median of "
            f"{ROUNDS} rounds, each on a new data folder and then again on the same."
        ),
        goals=[
            Goal(
                "start on a new folder", median(answered["new folder"]), GOAL_SECONDS, at_most=True, unit=" s"
            ),
            Goal("start", again, GOAL_SECONDS, at_most=True, unit=" s"),
            Goal("web processes that loaded torch", float(with_torch), 0, at_most=True),
        ],
        raw={"answers_seconds": answered, "workers_ready_seconds": ready, "torch_in_web": with_torch},
        packages=("fastapi", "uvicorn", "celery"),
    )


def _start(data_dir: Path) -> tuple[float, float, bool]:
    """Seconds until it answers and until the workers are ready; whether the web process has torch in it."""
    port = free_port()
    logs = [data_dir / "logs" / f"worker-{name}.log" for name in ("training", "default")]
    sizes = {log: log.stat().st_size if log.is_file() else 0 for log in logs}

    def worker_ready(log: Path) -> bool:
        return log.is_file() and b" ready." in log.read_bytes()[sizes[log] :]

    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "SFT_STUDIO_DATA": str(data_dir), "SFT_STUDIO_DATA_DIR": str(data_dir)},
        start_new_session=True,
    )
    family: list[psutil.Process] = []
    try:
        _wait(lambda: _answers(port), process)
        answered = time.perf_counter() - began
        loaded = {Path(part.path).name for part in psutil.Process(process.pid).memory_maps()}
        _wait(lambda: all(worker_ready(log) for log in logs), process)
        ready = time.perf_counter() - began
        family = family_of(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        end(family)
    return answered, ready, any(name.startswith("libtorch") for name in loaded)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
    except httpx.HTTPError:
        return False


def _wait(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("`sft-studio serve` did not come up")
        time.sleep(0.02)
