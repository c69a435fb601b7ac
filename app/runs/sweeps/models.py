"""The table of sweeps. Its runs name it in `sweep_id`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column
from sqlmodel import Field

from app.accounts.who import CreatedBy
from app.core.database import moment_column, utc_now
from app.core.documents import DocumentColumn
from app.recipes.axes import Axis


class Varied(BaseModel):
    """What a sweep varies, in the order of its runs."""

    model_config = ConfigDict(frozen=True)

    axes: tuple[Axis, ...] = ()

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From JSON."""
        return cls.model_validate(document)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return self.model_dump(mode="json")

    @property
    def fields(self) -> list[str]:
        """Every field that differs between the runs."""
        return [field for axis in self.axes for field in axis.fields]


class Sweep(CreatedBy, table=True):
    """A group of runs on the same mask check, that differ in a few fields."""

    __tablename__ = "sweep"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=120)
    mask_check_id: int = Field(foreign_key="mask_check.id")
    varied: Varied = Field(sa_column=Column(DocumentColumn(Varied), nullable=False))
    # A second submit with the same key finds the first sweep.
    idempotency_key: str = Field(max_length=80, unique=True)
    # What it was asked by, so that another request under the key is told from the same one; None of those from before.
    asked_hash: str | None = Field(default=None, max_length=64)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
