"""One item of the pre-flight: what was looked at, how grave it is, the evidence, what helps."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.sentences import N_, Sentence


class Level(StrEnum):
    """An error refuses the start, a warning has to be accepted by name."""

    ERROR = "error"
    WARNING = "warning"
    OK = "ok"

    @property
    def words(self) -> str:
        """A message to translate."""
        return _LEVELS[self]


GRAVEST_FIRST: Final = tuple(Level)

_LEVELS: Final = {
    Level.ERROR: N_("Refuses the start"),
    Level.WARNING: N_("Warning"),
    Level.OK: N_("In order"),
}


class Name(StrEnum):
    """What items are called by scripts and in what is stored; in the order of the list."""

    MASK_CHECK = "mask_check"
    CONFIRMED = "confirmed"
    APPROVALS = "approvals"
    MIX_APPROVALS = "mix_approvals"
    LEAK = "leak"
    MIX_LEAK = "mix_leak"
    HELD_OUT = "held_out"
    MIX_HELD_OUT = "mix_held_out"
    TRUNCATED = "truncated"
    TEMPLATE = "template"
    END_OF_TURN = "end_of_turn"
    CONFIG = "config"
    LEARNING_RATE = "learning_rate"
    WARM_UP = "warm_up"
    EPOCHS = "epochs"
    PRECISION = "precision"
    MEMORY = "memory"
    DISK = "disk"
    EVALUATION = "evaluation"

    @property
    def heading(self) -> str:
        """A message to translate."""
        return _HEADINGS[self]


_HEADINGS: Final = {
    Name.MASK_CHECK: N_("Mask check"),
    Name.CONFIRMED: N_("A person has looked"),
    Name.APPROVALS: N_("Approvals"),
    Name.MIX_APPROVALS: N_("Approvals of what is mixed in"),
    Name.LEAK: N_("Leak between the splits"),
    Name.MIX_LEAK: N_("Leak across the two datasets"),
    Name.HELD_OUT: N_("Held out"),
    Name.MIX_HELD_OUT: N_("Held out of what is mixed in"),
    Name.TRUNCATED: N_("Cut conversations"),
    Name.TEMPLATE: N_("Template and model"),
    Name.END_OF_TURN: N_("End of turn"),
    Name.CONFIG: N_("Settings"),
    Name.LEARNING_RATE: N_("Learning rate"),
    Name.WARM_UP: N_("Warm-up"),
    Name.EPOCHS: N_("Epochs"),
    Name.PRECISION: N_("Precision"),
    Name.MEMORY: N_("Device memory"),
    Name.DISK: N_("Disk"),
    Name.EVALUATION: N_("Evaluation"),
}


@dataclass(frozen=True)
class Change:
    """A field of the form, and what it is set to by one click."""

    field: str
    value: str


@dataclass(frozen=True)
class Item:
    """`sentence` is the evidence with its numbers, `link` the page where it is seen; `helps` what to do, with a `change` where
    one field is enough. `field` is what an error is about.
    """

    name: Name
    level: Level
    sentence: Sentence
    link: str | None = None
    helps: Sentence | None = None
    change: Change | None = None
    field: str | None = None


def ok(name: Name, message: str, link: str | None = None, **values: object) -> Item:
    """Nothing stands against it."""
    return Item(name, Level.OK, Sentence.of(message, **values), link)


def warning(
    name: Name,
    sentence: Sentence,
    *,
    helps: str | Sentence,
    link: str | None = None,
    change: Change | None = None,
) -> Item:
    """It may start when somebody accepts this by name."""
    return Item(
        name,
        Level.WARNING,
        sentence,
        link,
        helps if isinstance(helps, Sentence) else Sentence(helps),
        change,
    )
