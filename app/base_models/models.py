"""Table of base models."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Column
from sqlmodel import Field

from app.accounts.who import CreatedBy
from app.base_models.facts import ModelFacts
from app.core.database import StoredPath, enum_column, moment_column, utc_now
from app.core.documents import DocumentColumn


class BaseModelSource(StrEnum):
    """Where the weights come from."""

    BUNDLED = "bundled"
    HUB = "hub"
    LOCAL = "local"
    # What a full fine-tune made here; `reference` is the folder's key in the storage.
    RUN = "run"


# Those that a person names; a run's model is taken over by its run.
NAMED: Final = (BaseModelSource.BUNDLED, BaseModelSource.HUB, BaseModelSource.LOCAL)


class ModelEntry(CreatedBy, table=True):
    """A model to fine-tune. Usable once `path` is set: a plain safetensors folder with tokenizer and template."""

    __tablename__ = "base_model"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=120, unique=True)
    source: BaseModelSource = Field(sa_column=enum_column(BaseModelSource))
    # Hub id, folder, the bundled model's name, or a run's folder in the storage.
    reference: str = Field(max_length=500)
    revision: str | None = Field(default=None, max_length=80)
    path: str | None = Field(default=None, sa_column=Column(StoredPath, nullable=True))
    # Where tokenizer and template lie while there are no weights.
    tokenizer_path: str | None = Field(default=None, sa_column=Column(StoredPath, nullable=True))
    # What preparing found.
    info: ModelFacts = Field(
        default_factory=ModelFacts, sa_column=Column(DocumentColumn(ModelFacts), nullable=False)
    )
    job_id: int | None = Field(default=None, foreign_key="job.id")
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())

    @property
    def is_ready(self) -> bool:
        """Whether masks can be made and runs started with it."""
        return self.path is not None

    @property
    def tokenizer_folder(self) -> Path | None:
        """Where its tokenizer and template lie, which masks need: its own folder, or one with these two alone."""
        found = self.path or self.tokenizer_path
        return Path(found) if found else None
