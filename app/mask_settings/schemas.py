"""The mask settings as all of REST reads them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from app.core.errors import Invalid
from app.mask_settings.tokenizers import as_invalid
from app.masking import Handling, MaskingError, MaskSettings, TrainOn
from app.sentences import N_

DEFAULT_MAX_LENGTH: Final = 2048


def parse_settings(values: Mapping[str, Any]) -> MaskSettings:
    """Mask settings from a form or JSON; absent ones take their defaults. Raises Invalid naming what is wrong."""
    try:
        return MaskSettings(**values)
    except MaskingError as error:
        raise as_invalid(error) from error
    except (ValueError, TypeError) as error:
        raise Invalid(
            N_("These mask settings cannot be used: %(reason)s"), field="settings", reason=str(error)
        ) from error


class PreviewSettingsIn(BaseModel):
    """What is trained and how conversations become samples. Absent fields take their defaults."""

    model_config = ConfigDict(extra="forbid")

    train_on: TrainOn = TrainOn.ASSISTANT
    handling: Handling = Handling.WHOLE
    # Tokens of a sample; null: no limit of one's own.
    max_length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    # Control tokens spelled in a message are kept as ordinary text, or refused.
    control_tokens: Literal["neutralise", "refuse"] = "neutralise"
    train_reasoning: bool = True
    # Plain values for the model's chat template, by name: {"enable_thinking": false}.
    template_arguments: dict[str, StrictBool | StrictInt | StrictFloat | StrictStr] = Field(
        default_factory=dict
    )

    def to_settings(self) -> MaskSettings:
        """As masking knows them. Raises Invalid naming the field."""
        return parse_settings(self.model_dump())


class MaskSettingsIn(PreviewSettingsIn):
    """The same for a whole version, where samples of a few tokens make no sense."""

    max_length: Annotated[int, Field(ge=16, le=1_000_000)] | None = None
