"""How one hyperparameter is declared: its default, its limits, and what people are told of it."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from app.sentences import N_


class Section(StrEnum):
    """What is looked at together, in the order of the form."""

    LEARNING = N_("Learning")
    MIXING = N_("Second dataset")
    ADAPTER = N_("Adapter")
    WATCHING = N_("Watching and saving")
    DEVICE = N_("Device")
    METHOD = N_("Method")


def setting(
    default: object, label: str, meaning: str, section: Section, *, unit: str = "", **limits: float
) -> Any:
    """A field of the config: how it is called and explained to people, and from where to where it goes.

    Limits may only grow: what older versions stored must read on.
    """
    about = {"section": section.value, **({"unit": unit} if unit else {})}
    return Field(default, title=label, description=meaning, json_schema_extra=about, **limits)  # type: ignore[call-overload]
