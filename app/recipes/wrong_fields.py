"""What is wrong with a training config, a sentence a field, with the name that was meant where that can be told."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError

from app.invalid import WrongField, wrong_fields
from app.sentences import N_, Sentence

# PEFT's own names, as checkpoints once had them.
FORMER_NAMES: Final = {"r": "lora_r", "target_modules": "lora_target_modules"}
_NAMED_OTHERWISE: Final = N_("%(field)s is called %(name)s here, as TRL's command line spells it.")
_MISSPELT: Final = N_("There is no field %(field)s here. Did you mean %(name)s?")
_MAX_LENGTH: Final = N_(
    "max_length belongs to the mask settings: ask for a mask check with it. The checked arrays are trained as "
    "they are."
)


def wrong_values(error: ValidationError, known: Collection[str]) -> list[WrongField]:
    """The sentences of a config's validation, of which `known` are the fields."""
    return [_pointed(wrong, known) for wrong in wrong_fields(error.errors())]


def _pointed(wrong: WrongField, known: Collection[str]) -> WrongField:
    """An unknown field's sentence, where we know what was meant."""
    if wrong.field == "max_length":
        return WrongField(wrong.field, Sentence(_MAX_LENGTH))
    if wrong.field in FORMER_NAMES:
        name = FORMER_NAMES[wrong.field]
        return WrongField(wrong.field, Sentence.of(_NAMED_OTHERWISE, field=wrong.field, name=name))
    if wrong.field not in known:
        meant = get_close_matches(wrong.field, known, n=1, cutoff=0.8)
        if meant:
            return WrongField(wrong.field, Sentence.of(_MISSPELT, field=wrong.field, name=meant[0]))
    return wrong
