"""The choices that decide which tokens are trained; they never move the borders of a turn."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, Self

from app.masking.arguments import Argument, TemplateArguments
from app.masking.errors import MaskingError
from app.sentences import N_

IGNORE_INDEX = -100


class TrainOn(StrEnum):
    """Which turns are trained where no turn carries a flag of its own."""

    ASSISTANT = "assistant"
    LAST_ASSISTANT = "last_assistant"
    ALL = "all"
    CONTENT = "content"


class Handling(StrEnum):
    """How many samples a conversation becomes."""

    WHOLE = "whole"
    PER_TURN = "per_turn"
    SLIDING_WINDOW = "sliding_window"


ControlTokenPolicy = Literal["neutralise", "refuse"]
# Settings that came later are named only where they differ from their default: what was stored before them reads and
# hashes as it did.
LATER: Mapping[str, bool] = {"later": True}


@dataclass(frozen=True)
class MaskSettings:
    """`max_length` counts tokens; `control_tokens` says what happens to control tokens spelled in message
    text; `template_arguments` go to every rendering (`{"enable_thinking": False}`).
    """

    train_on: TrainOn = TrainOn.ASSISTANT
    handling: Handling = Handling.WHOLE
    max_length: int | None = None
    control_tokens: ControlTokenPolicy = "neutralise"
    train_reasoning: bool = True
    template_arguments: Mapping[str, Argument] = field(default_factory=TemplateArguments, metadata=LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "train_on", TrainOn(self.train_on))
        object.__setattr__(self, "handling", Handling(self.handling))
        if not isinstance(self.template_arguments, TemplateArguments):
            object.__setattr__(self, "template_arguments", TemplateArguments(self.template_arguments))
        if self.max_length is not None and self.max_length < 1:
            raise MaskingError(N_("max_length must be at least 1, not %(value)d."), value=self.max_length)
        if self.control_tokens not in ("neutralise", "refuse"):
            raise MaskingError(
                N_("control_tokens must be “neutralise” or “refuse”, not “%(value)s”."),
                value=self.control_tokens,
            )

    def to_json(self) -> str:
        """One canonical line, as it is stored beside the arrays."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes, as plain values."""
        usual = type(self)()
        return {
            one.name: _plain(getattr(self, one.name))
            for one in fields(self)
            if not one.metadata.get("later") or getattr(self, one.name) != getattr(usual, one.name)
        }

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The settings that `to_json` wrote."""
        return cls(**json.loads(line))


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    if isinstance(value, StrEnum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value
