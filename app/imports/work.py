"""The job of an import, as the web, the worker and its child speak of it. Loads no database."""

from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict

from app.core.stored_models import StoredModel
from app.imports.remarks import Remark
from app.interchange import Format, Source
from app.jobs.work import JobInput, JobPayload, JobResult

SameQuestions = Literal["ask", "keep", "replace", "skip"]
SAME_QUESTIONS: Final[tuple[SameQuestions, ...]] = get_args(SameQuestions)
# In the folder of an attempt: what was read, one conversation a line.
CONVERSATIONS: Final = "conversations.jsonl"


class ImportOptions(StoredModel):
    """How a file comes in: what every door asks and every order carries."""

    format: Format
    skip_bad: bool
    same_questions: SameQuestions


class ImportPayload(JobPayload, ImportOptions):
    """What is asked: a staged file, by its token, and where it goes. `dataset` is the name of one that may have to be made;
    `role` is what whoever asked may do."""

    dataset_id: int | None = None
    dataset: str = ""
    # The report that is filled in at the end; None where there is no dataset yet that could have one.
    import_id: int | None = None
    upload: str
    filename: str
    source: Source
    role: str


class ImportInput(JobInput):
    """The file to read, and how."""

    file: str
    filename: str
    format: Format
    skip_bad: bool
    most_bytes: int
    source: Source


class FileReport(BaseModel):
    """What reading a file found. Counts are exact; problems and notes are stored remarks, the first 200 of each.

    `codes` are those of all problems. `notes` concern the file as a whole: those about a record come with the record.
    """

    model_config = ConfigDict(frozen=True)

    filename: str
    format: str
    skip_bad: bool
    accepted: int
    duplicates: int
    problem_count: int
    problems: list[Remark]
    codes: frozenset[str]
    notes: list[Remark]

    @property
    def comes_in(self) -> bool:
        """Whether anything may be stored: one problem keeps all out, unless bad lines are skipped."""
        return self.skip_bad or self.problem_count == 0

    @property
    def brings_anything(self) -> bool:
        """Whether there is anything to store."""
        return self.comes_in and self.accepted > 0

    def has_problem(self, codes: frozenset[str]) -> bool:
        """Whether one of these is among the problems."""
        return not self.codes.isdisjoint(codes)


class Brought(BaseModel):
    """What became of a file: where its report lies, or the report itself where no dataset was made that could have it.
    `is_done_with` tells that nobody needs the uploaded file any more."""

    import_id: int | None
    report: dict[str, Any] | None = None
    is_done_with: bool


class ImportResult(JobResult):
    """What the child found in the file; then, in its place, what became of it."""

    read: FileReport | None = None
    brought: Brought | None = None
