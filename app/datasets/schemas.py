"""What REST reads for datasets."""

from pydantic import BaseModel, ConfigDict, Field


class DatasetIn(BaseModel):
    """A new dataset."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=2000)


class DatasetEdit(BaseModel):
    """A new name, a new description, or both; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=80)
    description: str | None = Field(default=None, max_length=2000)
