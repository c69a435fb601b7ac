"""What a domain tells the worker about its kind of job: what the child process gets, what its result means."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Engine
from sqlmodel import Session

from app.core.settings import Settings
from app.core.storage import Storage, StoredFile
from app.core.stored_models import StoredModel
from app.jobs.events import Phase
from app.jobs.leftovers import clear_leftovers
from app.jobs.models import JobState
from app.jobs.service import Claim
from app.jobs.work import JobInput

ResultT = TypeVar("ResultT", bound=StoredModel)


@dataclass(frozen=True)
class Workplace:
    """Where a job is done: settings, file storage and the folder of this attempt (relative key and path)."""

    settings: Settings
    storage: Storage
    output_key: str

    @property
    def output_dir(self) -> Path:
        """Absolute path of the attempt's folder."""
        return self.storage.path(self.output_key)


class Stopped(Exception):
    """Somebody asked the job to end, and it leaves nothing behind."""


class HandedBack(Exception):
    """The worker is going down: another goes on with the job, from where that handler's kind of work can."""


class Going(Protocol):
    """How work in the worker's own process tells of itself, and goes on holding its job. Called between short
    transactions, when no connection is held."""

    def phase(self, phase: Phase) -> None:
        """The work goes over to this phase."""
        ...

    def at(self, done: int, total: int) -> None:
        """So much is done. Raises Stopped, HandedBack, and LeaseLost when the job belongs to another attempt."""
        ...

    def keep(self) -> None:
        """Hold the job while something is brought to its end that must not be stopped half way. Raises LeaseLost."""
        ...


class JobHandler(ABC, Generic[ResultT]):
    """One per kind of job. All methods run in the worker's parent process, which has no torch.

    `result_model` is what the child hands back, as which it is read.
    """

    result_model: type[ResultT]

    @abstractmethod
    def child_input(self, session: Session, place: Workplace, claim: Claim) -> JobInput:
        """The `input` of the child's JOB.json. Raises StudioError when the job cannot be done."""

    def carry_out(
        self, engine: Engine, place: Workplace, claim: Claim, result: ResultT, going: Going
    ) -> ResultT:
        """What the job does itself with the result of its child, in short transactions, however long it takes; it must
        bear to be done again. The result from here on. Raises StudioError and what `going` raises.
        """
        return result

    def look_at_files(self, place: Workplace, result: ResultT) -> list[StoredFile]:
        """Size and hash of the files that `publish` makes known. It may take long: no connection is held."""
        return []

    def clear_up(self, place: Workplace, state: JobState) -> None:
        """Remove working files that nobody needs once the job has ended in `state`, which is stored by now: all but its
        logs, and the last attempt's after success.
        """
        clear_leftovers(place.output_dir.parent, state, int(place.output_dir.name))

    @abstractmethod
    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: ResultT,
        files: Sequence[StoredFile],
    ) -> None:
        """Store what came of it, and promise what follows, in the transaction that ends the job. Others wait for it, so
        it opens no file: `files` are those that `look_at_files` found.
        """
