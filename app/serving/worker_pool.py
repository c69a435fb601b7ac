"""The Celery workers that `serve` starts beside the web server: watched, started again when one dies, ended for certain."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.core.console import say
from app.core.i18n import gettext as _
from app.core.settings import Settings
from app.jobs.devices import gpus
from app.serving.lifeline import LIFELINE
from app.serving.processes import LOG_BYTES, child_environment

WATCH_SECONDS: Final = 0.5
# A worker that dies younger than this is broken rather than unlucky: it is started again ever more slowly.
HEALTHY_SECONDS: Final = 20.0
MAX_BACKOFF_SECONDS: Final = 30.0
# This many young deaths in a row, and it is no bad luck: the pages stay, and people are told why nothing is done.
MANY_YOUNG_DEATHS: Final = 4


@dataclass
class WorkerProcess:
    """One worker: what it serves, and its process while it lives."""

    name: str
    queues: str
    concurrency: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_again_at: float = 0.0


def default_workers(settings: Settings) -> list[WorkerProcess]:
    """Training on each GPU, or the processor, and everything short beside it, so that nobody waits for an hour of training."""
    return [
        WorkerProcess(
            "training",
            "training",
            max(1, len(gpus()) // settings.gpus_per_run) * settings.training_per_device,
        ),
        WorkerProcess("default", "default,interactive", 4),
    ]


@dataclass
class WorkerPool:
    """Starts the workers, watches them in a thread, ends them. One that cannot live is tried again and again."""

    settings: Settings
    workers: list[WorkerProcess] = field(default_factory=list)
    # A plain flag: a signal handler sets it, and must not wait for the lock of a threading.Event.
    _stopping: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.workers = self.workers or default_workers(self.settings)

    @property
    def log_dir(self) -> Path:
        """Folder of the workers' logs."""
        return self.settings.data_dir / "logs"

    def start(self) -> None:
        """Start all workers and the thread that watches them."""
        self.log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock:
            for worker in self.workers:
                if self._stopping:  # somebody ended the server before it had begun
                    return
                self._start(worker)
        threading.Thread(target=self._watch, daemon=True, name="worker-watch").start()

    def ask_to_stop(self) -> None:
        """SIGTERM to every worker, and no new ones. Safe in a signal handler: takes no lock."""
        self._stopping = True
        for worker in self.workers:
            if worker.process is not None:
                worker.process.terminate()

    def stop(self, grace_seconds: float) -> None:
        """Every worker gone, by SIGKILL once the grace is over. Their children end with them."""
        self.ask_to_stop()
        deadline = time.monotonic() + grace_seconds
        with self._lock:
            for worker in self.workers:
                if worker.process is not None:
                    self._end(worker.process, deadline - time.monotonic())

    @staticmethod
    def _end(process: subprocess.Popen[bytes], seconds_left: float) -> None:
        # One that was started while the stop was asked for has not heard of it.
        process.terminate()
        try:
            process.wait(max(0.1, seconds_left))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def _start(self, worker: WorkerProcess) -> None:
        log_file = self._log_file(worker)
        if log_file.is_file() and log_file.stat().st_size > LOG_BYTES:
            log_file.replace(log_file.with_suffix(".log.1"))
        with log_file.open("ab") as log:
            worker.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "app.serving.worker_process",
                    LIFELINE,
                    worker.queues,
                    str(worker.concurrency),
                    worker.name,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment(self.settings),
                # Ctrl-C in a terminal reaches a whole group of processes; the workers are told by us instead.
                start_new_session=True,
            )
        worker.started_at = time.monotonic()

    def _watch(self) -> None:
        while not self._stopping:
            time.sleep(WATCH_SECONDS)
            for worker in self.workers:
                with self._lock:
                    if not self._stopping:
                        self._look_after(worker)

    def _look_after(self, worker: WorkerProcess) -> None:
        now = time.monotonic()
        if worker.process is None:
            if now >= worker.start_again_at:
                self._start_again(worker)
            return
        code = worker.process.poll()
        if code is not None:
            worker.process = None
            self._bury(worker, now, code)
        elif worker.deaths and now - worker.started_at > HEALTHY_SECONDS:
            if worker.deaths >= MANY_YOUNG_DEATHS:
                say(_("The worker “%(name)s” runs again.") % {"name": worker.name})
            worker.deaths = 0

    def _bury(self, worker: WorkerProcess, now: float, code: int) -> None:
        worker.deaths = 0 if now - worker.started_at > HEALTHY_SECONDS else worker.deaths + 1
        worker.start_again_at = now + min(2.0**worker.deaths - 1, MAX_BACKOFF_SECONDS)
        values = {"name": worker.name, "code": code, "log": self._log_file(worker)}
        if worker.deaths < MANY_YOUNG_DEATHS:
            text = _(
                "The worker “%(name)s” ended (exit code %(code)d) and is started again. Its log: %(log)s"
            )
            say(text % values)
        elif worker.deaths == MANY_YOUNG_DEATHS:
            text = _(
                "The worker “%(name)s” ends again and again (exit code %(code)d). It is tried on; until it stays, its "
                "jobs wait. Its log says why: %(log)s"
            )
            say(text % values)

    def _start_again(self, worker: WorkerProcess) -> None:
        try:
            self._start(worker)
        except OSError as error:
            worker.start_again_at = time.monotonic() + MAX_BACKOFF_SECONDS
            say(
                _("The worker “%(name)s” could not be started: %(reason)s.")
                % {"name": worker.name, "reason": error.strerror or error}
            )

    def _log_file(self, worker: WorkerProcess) -> Path:
        return self.log_dir / f"worker-{worker.name}.log"
