"""What of the pre-flight stays on the run: every item as it stood, and who accepted which warning. Loads no database."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.stored_models import StoredModel, Told


class LookedAt(Told):
    """An item of the list as it stood. Names that later programs do not know any more stay readable."""

    name: str
    level: str


class Accepted(Told):
    """A warning that somebody accepted by name; the ids are of a person and of a token, null in a browser."""

    name: str
    by: str
    by_user_id: int | None = None
    by_token_id: int | None = None
    at: datetime


class PreflightRecord(StoredModel):
    """The list at the moment of the start."""

    schema_version: Literal[1] = 1
    items: list[LookedAt] = Field(default_factory=list)
    accepted: list[Accepted] = Field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Of the accepted warnings, in the list's order."""
        return [one.name for one in self.accepted]


class AcceptedWarning(Told):
    """What a model card and its facts tell of one: nobody's name goes out with the files."""

    name: str
