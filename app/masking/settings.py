"""The choices that decide which tokens are trained; they never move the borders of a turn."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from app.masking.errors import N_, MaskingError

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


@dataclass(frozen=True)
class MaskSettings:
    """`max_length` counts tokens; `control_tokens` says what happens to control tokens spelled in message
    text.
    """

    train_on: TrainOn = TrainOn.ASSISTANT
    handling: Handling = Handling.WHOLE
    max_length: int | None = None
    control_tokens: ControlTokenPolicy = "neutralise"
    train_reasoning: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "train_on", TrainOn(self.train_on))
        object.__setattr__(self, "handling", Handling(self.handling))
        if self.max_length is not None and self.max_length < 1:
            raise MaskingError(N_("max_length must be at least 1, not %(value)d."), value=self.max_length)
        if self.control_tokens not in ("neutralise", "refuse"):
            raise MaskingError(
                N_("control_tokens must be “neutralise” or “refuse”, not “%(value)s”."),
                value=self.control_tokens,
            )

    def to_json(self) -> str:
        """One canonical line, as it is stored beside the arrays."""
        return json.dumps(
            {
                "train_on": self.train_on.value,
                "handling": self.handling.value,
                "max_length": self.max_length,
                "control_tokens": self.control_tokens,
                "train_reasoning": self.train_reasoning,
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The settings that `to_json` wrote."""
        return cls(**json.loads(line))
