"""What a domain tells the worker about its kind of job: what the child process gets, what its result means."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sqlmodel import Session

from app.core.settings import Settings
from app.core.storage import Storage, StoredFile
from app.core.stored_models import StoredModel
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


class JobHandler(ABC, Generic[ResultT]):
    """One per kind of job. All methods run in the worker's parent process, which has no torch.

    `result_model` is what the child hands back, as which it is read.
    """

    result_model: type[ResultT]

    @abstractmethod
    def child_input(self, session: Session, place: Workplace, claim: Claim) -> JobInput:
        """The `input` of the child's JOB.json. Raises StudioError when the job cannot be done."""

    def look_at_files(self, place: Workplace, result: ResultT) -> list[StoredFile]:
        """Size and hash of the files that `publish` makes known. It may take long: no connection is held."""
        return []

    def clear_up(self, place: Workplace, state: JobState) -> None:
        """Remove working files that nobody needs once the job has ended in `state`, which is stored by now."""
        return

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
