"""What is found in a run: which fault, where on the curve, by what numbers, and what the source material does about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from app.sentences import N_, Sentence


class FindingCode(StrEnum):
    """The faults that are known; stable, for programs."""

    OVERFITTING = "overfitting"
    OSCILLATION = "oscillation"
    NO_DECREASE = "no_decrease"
    EXPLOSION = "explosion"
    FALL_THEN_RISE = "fall_then_rise"
    PARROTING = "parroting"
    LOSS_OF_DIVERSITY = "loss_of_diversity"


TITLES: Final[dict[FindingCode, str]] = {
    FindingCode.OVERFITTING: N_("Overfitting"),
    FindingCode.OSCILLATION: N_("The loss oscillates"),
    FindingCode.NO_DECREASE: N_("The loss does not fall"),
    FindingCode.EXPLOSION: N_("The loss explodes"),
    FindingCode.FALL_THEN_RISE: N_("The loss falls, then rises"),
    FindingCode.PARROTING: N_("Answers repeat the training set"),
    FindingCode.LOSS_OF_DIVERSITY: N_("Answers lose their diversity"),
}

# The curve that a finding is drawn on.
Curve = Literal["loss", "eval_loss"]
Value = str | int | float


@dataclass(frozen=True)
class Evidence:
    """A number that was read from the record: what it is, the step it is of, its value."""

    label: str
    step: int
    value: float
    # How it is written for people.
    style: Literal["loss", "share"] = "loss"


@dataclass(frozen=True)
class Finding:
    """A fault from `step` on, as seen at `seen_at`. `changes` by field are the remedy as a new run; `advice` says it."""

    code: FindingCode
    step: int
    seen_at: int
    curve: Curve
    sentence: Sentence
    evidence: tuple[Evidence, ...]
    advice: Sentence
    changes: Mapping[str, Value] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name, to be translated."""
        return TITLES[self.code]
