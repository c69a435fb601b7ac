"""The tables of imports, and of mappings that are kept."""

from datetime import datetime
from typing import Final

from sqlalchemy import JSON, Column
from sqlmodel import Field

from app.accounts.who import CreatedBy
from app.core.database import moment_column, utc_now
from app.core.documents import DocumentColumn
from app.imports.mapping_document import NAME_CHARACTERS, MappingDocument
from app.imports.remarks import Remark

# The code of notes about corrected records for which nobody has chosen yet.
WAITS: Final = "same_questions_waits"


# What reading and storing a file found out, beside whose it is and where it went.
REPORTED: Final = (
    "filename", "format", "accepted", "duplicates", "same_questions", "replaced", "problem_count", "problems",
    "note_count", "notes",
)  # fmt: skip


class DatasetImport(CreatedBy, table=True):
    """What one imported file brought in, and what it did not, by line."""

    __tablename__ = "dataset_import"

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    # What wrote its conversations, which name it in `staged_by`; None where nothing came in.
    operation_id: int | None = None
    filename: str = Field(max_length=255)
    format: str = Field(max_length=30)
    accepted: int = 0
    duplicates: int = 0
    # Of the new ones, those that ask the same as a conversation of the dataset; of them, those that took its place.
    same_questions: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    replaced: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    problem_count: int = 0
    # The first problems.
    problems: list[Remark] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    # What came in a little different from the file, or without a part of it; kept as problems are.
    note_count: int = 0
    notes: list[Remark] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    # Of a file that a worker reads: until this has ended nothing of the above is known. None for what a request brought.
    job_id: int | None = Field(default=None, foreign_key="job.id", index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())

    @property
    def brought_anything(self) -> bool:
        """Whether a conversation is new, or has a new answer."""
        return self.accepted > 0 or self.replaced > 0

    @property
    def waits_for_choice(self) -> bool:
        """Whether nothing came in because somebody has to say what becomes of corrected records."""
        return any(note["code"] == WAITS for note in self.notes)

    @property
    def is_done_with(self) -> bool:
        """Whether nobody needs the file any more: what it holds is in the dataset."""
        return self.brought_anything or not (self.problem_count or self.waits_for_choice)


class ImportMapping(CreatedBy, table=True):
    """A mapping that is kept under a name, for the next file of its kind."""

    __tablename__ = "import_mapping"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=NAME_CHARACTERS, index=True, unique=True)
    document: MappingDocument = Field(
        sa_column=Column(DocumentColumn(MappingDocument), nullable=False),
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
