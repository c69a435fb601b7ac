"""The dialogue that the help page explains, as the bundled model really tokenizes and masks it.

A test masks it again and compares, so that the page cannot drift from what the software does.
"""

import json
from pathlib import Path
from typing import Any, Final

from app.core.i18n import LOCALES, Locale

EXAMPLE_MESSAGES: Final[dict[Locale, list[dict[str, Any]]]] = {
    "en": [
        {"role": "user", "content": "Is it worth the price?"},
        {"role": "assistant", "content": "For three chairs it pays for itself by May."},
    ],
    "zh-CN": [
        {"role": "user", "content": "值这个价吗？"},
        {"role": "assistant", "content": "三台椅位，五月就能回本。"},
    ],
}


def _load(locale: Locale) -> dict[str, Any]:
    path = Path(__file__).with_name(f"example.{locale}.json")
    shown: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**shown, "cut_tokens": []}


EXAMPLES: Final[dict[Locale, dict[str, Any]]] = {locale: _load(locale) for locale in LOCALES}
