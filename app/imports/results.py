"""The result of an import's job."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from app.imports.models import REPORTED, DatasetImport


class ImportResult(BaseModel):
    """Where the report lies; the report itself where no dataset was made that could have it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    import_id: int | None
    report: dict[str, Any] | None = None
    # Whether nobody needs the uploaded file any more: what it holds is in the dataset.
    is_done_with: bool

    @classmethod
    def of(cls, found: DatasetImport) -> Self:
        """From the report."""
        said = None if found.id is not None else {name: getattr(found, name) for name in REPORTED}
        done = found.brought_anything or not (found.problem_count or found.waits_for_choice)
        return cls(import_id=found.id, report=said, is_done_with=done)
