"""The three ways to fine-tune."""

from enum import StrEnum
from typing import Final

from app.sentences import N_

# The fields of the config that say which one it is.
METHOD_FIELDS: Final = ("use_peft", "load_in_4bit")


class Method(StrEnum):
    """An adapter, an adapter on weights in 4 bits, or all weights."""

    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"

    @property
    def label(self) -> str:
        """A message to translate."""
        return _TITLES[self]

    @property
    def purpose(self) -> str:
        """When one takes it: a message to translate."""
        return _PURPOSES[self]

    @classmethod
    def of(cls, *, use_peft: bool, load_in_4bit: bool) -> "Method":
        """The one that these fields mean."""
        if not use_peft:
            return cls.FULL
        return cls.QLORA if load_in_4bit else cls.LORA

    @property
    def fields(self) -> dict[str, bool]:
        """What it is called as fields of the config."""
        return {"use_peft": self is not Method.FULL, "load_in_4bit": self is Method.QLORA}


_TITLES: Final = {Method.LORA: N_("LoRA"), Method.QLORA: N_("QLoRA"), Method.FULL: N_("Full fine-tune")}
_PURPOSES: Final = {
    Method.LORA: N_("A small adapter beside the frozen model: quick, light, and enough for most domains."),
    Method.QLORA: N_(
        "The same on a model in 4 bits: on a GPU a quarter of its memory, somewhat slower; a CPU saves none."
    ),
    Method.FULL: N_("Every weight: the most freedom and the most memory, and a whole model as the result."),
}
