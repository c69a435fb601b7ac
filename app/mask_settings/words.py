"""Mask settings in the reader's language, for forms, reports and the help page."""

import json
from dataclasses import dataclass

from app.core.formatting import number
from app.core.i18n import gettext
from app.mask_settings.fields import MASK_FIELDS, Kind, MaskField, field_named
from app.masking import MaskSettings


@dataclass(frozen=True)
class Said:
    """One setting in words. `brief` says it alone; of what is at its default only the settings that are always said."""

    label: str
    text: str
    brief: str


def words_of(name: str) -> dict[str, str]:
    """The values of a choice, each in words."""
    return {value: gettext(word.label) for value, word in field_named(name).words.items()}


def settings_in_words(settings: MaskSettings) -> list[Said]:
    """Every setting, in the order of the form."""
    return [_said(one, settings) for one in MASK_FIELDS]


def settings_in_brief(settings: MaskSettings) -> str:
    """One line: the settings that are always said, then what differs from the default."""
    return " · ".join(said.brief for said in settings_in_words(settings) if said.brief)


def _said(one: MaskField, settings: MaskSettings) -> Said:
    label, text = gettext(one.label), _text(one, settings)
    if one.always_said:
        return Said(label, text, text)
    return Said(label, text, "" if one.is_usual(settings) else f"{label}: {text}")


def _text(one: MaskField, settings: MaskSettings) -> str:
    if one.kind is Kind.CHOICE:
        return words_of(one.name)[one.as_fields(settings)[one.name]]
    value = one.of_settings(settings)
    if one.kind is Kind.ARGUMENTS:
        given = (f"{name}={json.dumps(item, ensure_ascii=False)}" for name, item in value.items())
        return " ".join(given) or gettext("none")
    return gettext("none") if value is None else number(value)
