"""One job from claim to end: spawn the child, beat, store its events, obey stop requests, publish.

Runs in the worker's parent process, which never imports torch. Every write is fenced and outlives a database that is
away for a while (`attempt.py`); a lost lease kills the child and writes nothing.
"""

import json
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import StudioError
from app.core.logging import get_logger
from app.core.outages import BUSY, FAILING, FULL, READ_ONLY, is_outage, outage_sentence
from app.core.settings import Settings
from app.core.storage import DISK_FULL, Storage
from app.files import tells_full_disk
from app.jobs.devices import Devices
from app.jobs.events import Ending, EventKind
from app.jobs.handlers import HandedBack, JobHandler, Stopped, Workplace
from app.jobs.models import JobKind, JobState, StopRequest
from app.jobs.service import Claim, LeaseLost
from app.jobs.work import JobInput
from app.sentences import N_, Failure, FailureCode, Sentence
from worker.memory_kills import MemoryKills
from worker.parent import standstill
from worker.parent.allocator import allocator_environment
from worker.parent.attempt import Attempt
from worker.parent.child_process import ChildProcess
from worker.parent.exits import DIED, hanging, judge_exit
from worker.parent.going import Going
from worker.parent.untold import tell_what_was_left
from worker.want_of_memory import end_of

logger = get_logger(__name__)
FLUSH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.25
REFUSED: Final = N_("The database refused what this job had to store. The worker's log says why.")
UNEXPECTED: Final = N_("The worker could not do this: %(reason)s. The worker's log says more.")


@dataclass
class _Outcome:
    """What the child said at its end."""

    result: dict[str, Any] | None = None
    failure: Failure | None = None
    cancelled: bool = False
    paused: bool = False
    # Said where the failure is none of the job's own.
    again: Sentence | None = None


@dataclass
class Supervisor:
    """Does jobs for one worker process. `shutdown` set means: hand jobs back and end."""

    settings: Settings
    engine: Engine
    storage: Storage
    handlers: Mapping[JobKind, JobHandler[Any]]
    shutdown: threading.Event = field(default_factory=threading.Event)
    # What there is to train on, found once the worker is set up; None: jobs are not held against devices.
    devices: Devices | None = None

    def run_next(self, kinds: Collection[JobKind], worker_id: int | None = None) -> bool:
        """Claim and do the first waiting job of these kinds. False when there is none to begin. Raises the database's
        error before the claim.
        """
        mine = Attempt.take(
            self.engine, kinds, self.settings.lease_seconds, worker_id=worker_id, devices=self.devices
        )
        if mine is None:
            return False
        try:
            self._do(mine)
        except LeaseLost as lost:
            logger.warning("%s: stopped, %s", mine, lost)
        except Exception as error:
            logger.exception("%s failed in the supervisor", mine)
            mine.fail(unexpected(error))
        return True

    def _do(self, mine: Attempt) -> None:
        claim = mine.claim
        place = Workplace(self.settings, self.storage, f"jobs/{claim.job_id}/{claim.attempt}")
        self.storage.folder(place.output_key)
        handler = self.handlers[claim.kind]
        tell_what_was_left(mine, place)
        try:
            job_input = mine.read(lambda session: handler.child_input(session, place, claim))
        except StudioError as error:
            mine.fail(error.failure)
            return
        job_file = self._write_job_file(claim, place, job_input)
        child = ChildProcess(job_file, place.output_dir / "log.txt", surroundings_of(claim, self.devices))
        child.start()
        try:
            outcome = self._watch(mine, child)
        finally:
            child.close()
        if outcome is None:
            mine.release()
        else:
            self._end(mine, place, outcome)

    def _write_job_file(self, mine: Claim, place: Workplace, job_input: JobInput) -> Path:
        with self.storage.write(f"{place.output_key}/job.json") as file:
            description = {
                "kind": mine.kind.value,
                "job_id": mine.job_id,
                "attempt": mine.attempt,
                "input": job_input.to_json(),
                "output_dir": str(place.output_dir),
            }
            file.write(json.dumps(description, ensure_ascii=False, indent=1).encode())
        return place.output_dir / "job.json"

    def _watch(self, mine: Attempt, child: ChildProcess) -> _Outcome | None:
        """Until the child ends. None: the job has to be handed back, because this worker is going down."""
        outcome, kills = _Outcome(), MemoryKills.now()
        last_beat = time.monotonic()
        kill_at: float | None = None
        sent: StopRequest | None = None
        watch = standstill.Watch(child.process_id) if mine.claim.kind in standstill.WATCHED else None
        while not child.ended:
            self._take(child.messages(_POLL_SECONDS), mine, outcome)
            now = time.monotonic()
            # Often enough that events are seen soon and a stop is heard soon.
            if now - last_beat >= FLUSH_SECONDS:
                stop = mine.beat()
                last_beat = now
                if stop is not None and stop is not sent:
                    child.send({"stop": stop.value})
                    sent = stop
                    if stop is StopRequest.CANCEL:
                        kill_at = now + self.settings.stop_grace_seconds
            if watch and watch.is_due() and watch.hangs():
                watch.ask_where()
                watch.end()
                self._take(child.last_messages(), mine, outcome)
                found = hanging(standstill.STILL_SECONDS)
                outcome.result, outcome.failure, outcome.again = None, found.failure, found.again
                break
            if kill_at is not None and now > kill_at:
                child.terminate(self.settings.stop_grace_seconds)
                outcome.cancelled = True
            if self.shutdown.is_set():
                child.terminate(self.settings.stop_grace_seconds)
                self._take(child.last_messages(), mine, outcome)
                if not (outcome.result or outcome.paused) or child.exit_code() != 0:
                    return None
                break  # it had come to its end by itself
        _judge_exit(child, outcome, mine.claim.kind, kills)
        return outcome

    def _take(self, messages: list[dict[str, Any]], mine: Attempt, outcome: _Outcome) -> None:
        """Sort what the child said: how it ended, and what is to be told, which names files as the studio does."""
        for message in messages:
            kind = str(message.pop("event"))
            if kind == Ending.RESULT:
                outcome.result = message
            elif kind == Ending.FAILED:
                outcome.failure = Failure.from_json(self.storage.relative(message))
                outcome.again = Sentence.from_json(again) if (again := message.get("again")) else None
            elif kind == Ending.CANCELLED:
                outcome.cancelled = True
            elif kind == Ending.PAUSED:
                outcome.paused = True
            else:
                mine.tell(EventKind(kind), self.storage.relative(message))

    def _end(self, mine: Attempt, place: Workplace, outcome: _Outcome) -> None:
        state = self._store_end(mine, place, outcome)
        if state is None:
            return
        try:
            self.handlers[mine.claim.kind].clear_up(place, state)
        except OSError:
            logger.warning("%s: its working files could not be removed", mine, exc_info=True)

    def _store_end(self, mine: Attempt, place: Workplace, outcome: _Outcome) -> JobState | None:
        """What the job ended in; None when it goes on later."""
        result = outcome.result
        if outcome.cancelled:
            mine.finish(JobState.CANCELLED)
            return JobState.CANCELLED
        if outcome.paused:
            state = mine.pause()
            return state if state.is_final else None
        if outcome.again is not None and mine.begin_again(outcome.again):
            return None
        if result is None:
            mine.fail(outcome.failure or Failure.of(FailureCode.DIED, DIED, code=0))
            return JobState.FAILED
        handler = self.handlers[mine.claim.kind]
        try:
            going = Going(mine, self.shutdown, FLUSH_SECONDS)
            found = handler.result_model.stored(result)
            told = handler.carry_out(self.engine, place, mine.claim, found, going)
            files = handler.look_at_files(place, told)
            mine.finish(
                JobState.SUCCEEDED,
                result=self.storage.relative(result if told is found else told.to_json()),
                publish=lambda session: handler.publish(session, place, mine.claim, told, files),
            )
        except StudioError as error:
            mine.fail(error.failure)
            return JobState.FAILED
        except Stopped:
            mine.finish(JobState.CANCELLED)
            return JobState.CANCELLED
        except HandedBack:
            mine.release()
            return None
        except SQLAlchemyError as error:
            if not is_outage(error):
                raise
            return self._database_away(mine, outage_sentence(error))
        return JobState.SUCCEEDED

    @staticmethod
    def _database_away(mine: Attempt, why: str) -> JobState | None:
        """One that is busy or away may serve the next attempt; where its disk is full, a person has to help first."""
        if why == BUSY:
            logger.warning("%s: the database was out of reach; the job is handed back", mine)
            mine.release()
            return None
        if why == FULL:
            mine.fail(Failure.of(FailureCode.DISK_FULL, FULL))
        else:
            mine.fail(Failure.of(FailureCode.DATABASE_REFUSED, READ_ONLY if why == READ_ONLY else FAILING))
        return JobState.FAILED


def unexpected(error: Exception, template: str = UNEXPECTED) -> Failure:
    """A sentence for an error that nobody foresaw. What a database says holds statements: it is for the log alone."""
    if tells_full_disk(error):
        return Failure.of(FailureCode.DISK_FULL, DISK_FULL)
    if isinstance(error, SQLAlchemyError):
        return Failure.of(FailureCode.DATABASE_REFUSED, REFUSED)
    return Failure.of(FailureCode.UNEXPECTED, template, reason=f"{type(error).__name__}: {error}"[:300])


def surroundings_of(claim: Claim, devices: Devices | None) -> dict[str, str]:
    """What the child's environment has beside the worker's: its device, and an allocator for what training makes and frees."""
    device = devices.visible(claim.device) if devices and claim.device else {}
    return {**allocator_environment(), **device} if claim.kind is JobKind.TRAIN else device


def _judge_exit(child: ChildProcess, outcome: _Outcome, kind: JobKind, kills: MemoryKills) -> None:
    """A result counts only from a child that ended well."""
    code = child.exit_code()
    if code == 0 or outcome.cancelled or outcome.failure:
        return
    outcome.result = None
    found = judge_exit(code, kind, for_memory=kills.one_came(), printed=end_of(child.log_file))
    outcome.failure, outcome.again = found.failure, found.again
