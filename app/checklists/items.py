"""One item of the checklist: what was looked at, how it stands, the evidence and where to see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.sentences import N_, Sentence


class State(StrEnum):
    """`open`: there is nothing to tell it by, or not yet."""

    PASS = "pass"  # noqa: S105 - a state
    WARN = "warn"
    FAIL = "fail"
    OPEN = "open"


class Part(StrEnum):
    """The sections, in their order."""

    DATA = "data"
    CONFIG = "config"
    MONITORING = "monitoring"
    VERIFICATION = "verification"

    @property
    def heading(self) -> str:
        """A message to translate."""
        return _PARTS[self]


_PARTS: Final = {
    Part.DATA: N_("Data"),
    Part.CONFIG: N_("Config"),
    Part.MONITORING: N_("Monitoring"),
    Part.VERIFICATION: N_("Verification"),
}
TITLES: Final = {
    "format": N_("The format is right"),
    "template": N_("The template is the model's"),
    "quality": N_("The quality was checked"),
    "mix": N_("The mix is sensible"),
    "mix_approvals": N_("What is mixed in was approved"),
    "mix_leak": N_("Nothing held out is trained across the two datasets"),
    "mix_held_out": N_("Some of what is mixed in is held out"),
    "amount": N_("The amount is sensible"),
    "beginning": N_("Begins from an earlier run"),
    "preflight": N_("Before the start"),
    "learning_rate": N_("Learning rate"),
    "lora": N_("LoRA"),
    "epochs": N_("Epochs"),
    "bf16": N_("bf16"),
    "clipping": N_("Gradient clipping"),
    "train_loss": N_("Training loss"),
    "eval_loss": N_("Held-out loss"),
    "vibe_check": N_("Answers read on the way"),
    "device_memory": N_("Device memory"),
    "instructions": N_("Follows instructions"),
    "answer_format": N_("Keeps the format"),
    "domain": N_("Knows the domain"),
    "general": N_("Keeps its general ability"),
}
# Of runs with a second dataset, and of runs that begin from an earlier one.
OF_SOME: Final = ("mix_approvals", "mix_leak", "mix_held_out", "beginning")
WORDS: Final = {
    State.PASS: N_("Passed"),
    State.WARN: N_("Warning"),
    State.FAIL: N_("Not passed"),
    State.OPEN: N_("Not checked"),
}


@dataclass(frozen=True)
class Item:
    """`sentence` is the evidence with its numbers; `link` the page where it is seen."""

    code: str
    part: Part
    state: State
    sentence: Sentence
    link: str

    @property
    def title(self) -> str:
        """A message to translate."""
        return TITLES[self.code]

    @property
    def word(self) -> str:
        """The state in a word, to translate."""
        return WORDS[self.state]


def item(code: str, part: Part, state: State, link: str, message: str, **values: object) -> Item:
    """From a template and its values."""
    return Item(code, part, state, Sentence.of(message, **values), link)
