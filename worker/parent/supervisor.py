"""One job from claim to end: spawn the child, beat, store its events, obey stop requests, publish.

Runs in the worker's parent process, which never imports torch. Every write is fenced; a lost lease
kills the child and writes nothing.
"""

import json
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from app.core.database import transaction
from app.core.errors import StudioError
from app.core.logging import get_logger
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.models import JobKind, JobState, StopRequest
from app.jobs.service import Claim, EventData, LeaseLost, claim, finish, heartbeat, release
from app.sentences import N_, Failure, FailureCode
from worker.parent.child_process import ChildProcess

logger = get_logger(__name__)
FLUSH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.25
KILLED: Final = N_(
    "The process was killed (signal %(signal)s). Often that is the machine's memory running out: try again when less runs beside it."
)
TRAINING_KILLED: Final = N_(
    "The process was killed (signal %(signal)s). Often that is the machine's memory running out: lower the batch size or max_length."
)
DIED: Final = N_("The process ended unexpectedly (exit code %(code)d). The log says more.")
UNEXPECTED: Final = N_("The worker could not do this: %(reason)s. The worker's log says more.")


def owner_name() -> str:
    """Names this worker thread in the lease."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"


@dataclass
class _Outcome:
    """What the child said at its end."""

    result: dict[str, Any] | None = None
    failure: Failure | None = None
    cancelled: bool = False


@dataclass
class Supervisor:
    """Does jobs for one worker process. `shutdown` set means: hand jobs back and end."""

    settings: Settings
    engine: Engine
    storage: Storage
    handlers: dict[JobKind, JobHandler]
    shutdown: threading.Event = field(default_factory=threading.Event)

    def run(self, job_id: int) -> bool:
        """Claim and do one job. False when it was not there to take."""
        with transaction(self.engine) as session:
            mine = claim(session, job_id, owner=owner_name(), lease_seconds=self.settings.lease_seconds)
        if mine is None:
            return False
        try:
            self._do(mine)
        except LeaseLost:
            logger.warning("job %d attempt %d: lease lost, stopped", mine.job_id, mine.attempt)
        except Exception as error:
            logger.exception("job %d attempt %d failed in the supervisor", mine.job_id, mine.attempt)
            reason = f"{type(error).__name__}: {error}"[:300]
            self._fail(mine, Failure.of(FailureCode.UNEXPECTED, UNEXPECTED, reason=reason))
        return True

    def _do(self, mine: Claim) -> None:
        place = Workplace(self.settings, self.storage, f"jobs/{mine.job_id}/{mine.attempt}")
        self.storage.folder(place.output_key)
        try:
            with transaction(self.engine) as session:
                job_input = self.handlers[mine.kind].child_input(session, place, mine)
        except StudioError as error:
            self._fail(mine, error.failure)
            return
        job_file = self._write_job_file(mine, place, job_input)
        child = ChildProcess(job_file, place.output_dir / "log.txt")
        child.start()
        try:
            outcome = self._watch(mine, child)
        finally:
            child.close()
        if outcome is not None:
            self._end(mine, place, outcome)

    def _write_job_file(self, mine: Claim, place: Workplace, job_input: dict[str, Any]) -> Path:
        with self.storage.write(f"{place.output_key}/job.json") as file:
            description = {
                "kind": mine.kind.value,
                "job_id": mine.job_id,
                "attempt": mine.attempt,
                "input": job_input,
                "output_dir": str(place.output_dir),
            }
            file.write(json.dumps(description, ensure_ascii=False, indent=1).encode())
        return place.output_dir / "job.json"

    def _watch(self, mine: Claim, child: ChildProcess) -> _Outcome | None:
        """Until the child ends. None: the job was handed back because this worker is going down."""
        outcome, pending = _Outcome(), list[EventData]()
        last_write = time.monotonic()
        kill_at: float | None = None
        sent: StopRequest | None = None
        while not child.ended:
            for message in child.messages(_POLL_SECONDS):
                _sort_message(message, outcome, pending)
            now = time.monotonic()
            # Once a second with events, else a few times a lease so that a stop is heard soon.
            if now - last_write >= FLUSH_SECONDS:
                stop = self._beat(mine, pending)
                pending, last_write = [], now
                if stop is not None and stop is not sent:
                    child.send({"stop": stop.value})
                    sent = stop
                    if stop is StopRequest.CANCEL:
                        kill_at = now + self.settings.stop_grace_seconds
            if kill_at is not None and now > kill_at:
                child.terminate(self.settings.stop_grace_seconds)
                outcome.cancelled = True
            if self.shutdown.is_set():
                child.terminate(self.settings.stop_grace_seconds)
                with transaction(self.engine) as session:
                    release(session, mine)
                return None
        self._beat(mine, pending)
        _judge_exit(child.exit_code(), outcome, mine.kind)
        return outcome

    def _beat(self, mine: Claim, events: list[EventData]) -> StopRequest | None:
        with transaction(self.engine) as session:
            return heartbeat(session, mine, lease_seconds=self.settings.lease_seconds, events=events)

    def _end(self, mine: Claim, place: Workplace, outcome: _Outcome) -> None:
        if outcome.cancelled:
            with transaction(self.engine) as session:
                finish(session, mine, JobState.CANCELLED)
            return
        if outcome.result is None:
            self._fail(mine, outcome.failure or Failure.of(FailureCode.DIED, DIED, code=0))
            return
        result = outcome.result
        try:
            with transaction(self.engine) as session:
                finish(session, mine, JobState.SUCCEEDED, result=result)
                self.handlers[mine.kind].publish(session, place, mine, result)
        except StudioError as error:
            self._fail(mine, error.failure)

    def _fail(self, mine: Claim, failure: Failure) -> None:
        try:
            with transaction(self.engine) as session:
                finish(session, mine, JobState.FAILED, failure=failure)
        except LeaseLost:
            logger.warning(
                "job %d attempt %d: lease lost before the failure was stored", mine.job_id, mine.attempt
            )


def _sort_message(message: dict[str, Any], outcome: _Outcome, pending: list[EventData]) -> None:
    kind = str(message.pop("event"))
    if kind == "result":
        outcome.result = message
    elif kind == "failed":
        outcome.failure = Failure.from_json(message)
    elif kind == "cancelled":
        outcome.cancelled = True
    else:
        pending.append((kind, message))


def _judge_exit(code: int, outcome: _Outcome, kind: JobKind) -> None:
    """A result counts only from a child that ended well."""
    if code == 0 or outcome.cancelled or outcome.failure:
        return
    outcome.result = None
    if code < 0:
        name = signal.Signals(-code).name
        template = TRAINING_KILLED if kind is JobKind.TRAIN else KILLED
        outcome.failure = Failure.of(FailureCode.KILLED, template, signal=name)
    else:
        outcome.failure = Failure.of(FailureCode.DIED, DIED, code=code)
