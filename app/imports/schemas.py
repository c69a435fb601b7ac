"""What REST shows of imports."""

from pydantic import BaseModel

from app.accounts.who import CreatedByOut
from app.core.i18n import gettext
from app.imports.models import DatasetImport
from app.imports.remarks import KeptRemark
from app.interchange.sentences.problems import said_of_line
from app.jobs.models import Job
from app.jobs.schemas import JobOut
from app.sentences import Sentence


class ImportRemarkOut(BaseModel):
    """Why one line did not come in, or what came in otherwise than it stood there."""

    line: int
    code: str
    message: str
    # The file of an archive that holds several.
    member: str = ""

    @classmethod
    def of(cls, stored: KeptRemark) -> "ImportRemarkOut":
        """From the stored remark, in the reader's language."""
        return cls(
            line=stored["line"],
            code=stored["code"],
            message=said_of_line(stored["line"], Sentence.stored_in(stored), gettext),
            member=stored.get("member", ""),
        )


class ImportOut(CreatedByOut):
    """The report of an import. Counts are exact; problems and notes are the first 200 of each.

    `id` and `dataset_id` are null when the file brought nothing, so that no dataset was made for it, and while a job is still
    to make one. `job` reads and stores a large file: counts are 0 until it has ended.
    """

    id: int | None
    dataset_id: int | None
    # `brought_by` of the conversations that it brought.
    operation_id: int | None = None
    filename: str
    format: str
    accepted: int
    duplicates: int
    # Of the new ones, those that ask the same as a conversation of the dataset; of them, those that took its place.
    same_questions: int = 0
    replaced: int = 0
    problem_count: int
    problems: list[ImportRemarkOut]
    note_count: int
    notes: list[ImportRemarkOut]
    job: JobOut | None = None

    @classmethod
    def of(cls, found: DatasetImport, job: Job | None = None) -> "ImportOut":
        """From the report, in the reader's language."""
        return cls(
            id=found.id,
            dataset_id=found.dataset_id if found.id is not None else None,
            operation_id=found.operation_id,
            filename=found.filename,
            format=found.format,
            accepted=found.accepted,
            duplicates=found.duplicates,
            same_questions=found.same_questions,
            replaced=found.replaced,
            problem_count=found.problem_count,
            problems=[ImportRemarkOut.of(item) for item in found.problems],
            note_count=found.note_count,
            notes=[ImportRemarkOut.of(item) for item in found.notes],
            job=JobOut.of(job) if job else None,
            **found.creator.columns(),
        )
