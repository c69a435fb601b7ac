"""What a run was computed with, as the worker's child tells it. Loads no database."""

from pydantic import BaseModel, Field


class Environment(BaseModel):
    """`libraries` by name their versions; `device` as its maker calls it, with `threads` of a CPU that took part."""

    python: str
    libraries: dict[str, str] = Field(default_factory=dict)
    device: str
    threads: int
