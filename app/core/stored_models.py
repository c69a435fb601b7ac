"""JSON documents that outlive the code that wrote them: pydantic models that read what their earlier forms stored."""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, computed_field

from app.core.i18n import say
from app.sentences import Sentence


class StoredModel(BaseModel):
    """A subclass has a `schema_version` and upgrades documents that have an earlier one, or none.

    Keys it does not know are passed over, so that a document of a newer program is read as far as it is understood.
    """

    model_config = ConfigDict(extra="ignore")

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """An older document in today's form."""
        return document

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From JSON, of this or an earlier version. Raises pydantic's ValidationError for anything else."""
        return cls.model_validate(cls.upgrade(dict(document)))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; a figure that is no number becomes null, for the databases hold none."""
        found: dict[str, Any] = json.loads(self.model_dump_json())
        return found


class Told(BaseModel):
    """Something with a sentence about it; `detail` is the sentence in the reader's language."""

    sentence: Sentence

    @computed_field  # type: ignore[prop-decorator]
    @property
    def detail(self) -> str:
        """The sentence, filled."""
        return say(self.sentence)
