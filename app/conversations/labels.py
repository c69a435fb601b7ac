"""Label words in the reader's language. What is stored is the key ("price"); people read and type the word."""

from collections.abc import Mapping
from typing import Final

from app.conversations.models import OBJECTIONS, STAGES
from app.core.i18n import LOCALES, gettext, use_locale
from app.sentences import N_

LANGUAGES: Final = {"en": N_("English"), "zh": N_("Chinese")}
_SUGGESTED: Final[Mapping[str, Mapping[str, str]]] = {
    "stage": STAGES,
    "objection": OBJECTIONS,
    "language": LANGUAGES,
}


def label_words() -> dict[str, dict[str, str]]:
    """For each label with suggestions: stored key -> word in the current language."""
    return {name: {key: gettext(word) for key, word in words.items()} for name, words in _SUGGESTED.items()}


def stored_label(name: str, typed: str) -> str:
    """The key of a suggested word in any of our languages; anything else as it was typed."""
    wanted = typed.strip().casefold()
    for key, word in _SUGGESTED.get(name, {}).items():
        if wanted == key or wanted in _spellings(word):
            return key
    return typed.strip()


def typed_tags(typed: str) -> list[str]:
    """Tags from what a person typed with commas between."""
    return [tag for tag in (word.strip() for word in typed.replace("，", ",").split(",")) if tag]


def _spellings(word: str) -> set[str]:
    found = set()
    for locale in LOCALES:
        with use_locale(locale):
            found.add(gettext(word).casefold())
    return found
