"""The fields that a recipe sets, as a row keeps them: judged when they are used, so that a list can show those that a later
program refuses.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from app.recipes.config import TrainingConfig


class RecipeSettings(BaseModel):
    """`values` by field, plain JSON; every other field follows the standard."""

    model_config = ConfigDict(frozen=True)

    values: Mapping[str, object] = Field(default_factory=dict)

    @classmethod
    def of(cls, config: TrainingConfig) -> Self:
        """What was set of this config, and not left to the standard."""
        return cls(values=config.model_dump(mode="json", exclude_unset=True))

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From JSON; nothing is judged."""
        return cls(values=dict(document))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return dict(self.values)

    def config(self) -> TrainingConfig:
        """As a config in which these fields are set. Raises Conflict with the refused fields in `details`."""
        return TrainingConfig.stored(self.values)
