"""Translation through gettext catalogues: English is the source, zh-CN lives in `app/locale/zh_CN/*.po`.

Catalogues are one file a domain and are read straight from `.po`, so there is no compile step to forget.
"""

import gettext as gettext_module
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from io import BytesIO
from typing import Final, Literal

from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from app.files import APP_FOLDER
from app.sentences import Sentence, Words

Locale = Literal["en", "zh-CN"]
LOCALES: Final[tuple[Locale, ...]] = ("en", "zh-CN")
LOCALE_DIR: Final = APP_FOLDER / "locale"

_current: ContextVar[Locale] = ContextVar("locale", default="en")


@cache
def translations(locale: Locale) -> gettext_module.NullTranslations:
    """All catalogues of a locale merged. English is the messages themselves."""
    if locale == "en":
        return gettext_module.NullTranslations()
    merged = Catalog(locale=locale.replace("-", "_"))
    for path in sorted((LOCALE_DIR / locale.replace("-", "_")).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=locale.replace("-", "_")):
                if message.id and message.string:
                    merged.add(message.id, message.string, context=message.context)
    buffer = BytesIO()
    write_mo(buffer, merged)
    buffer.seek(0)
    return gettext_module.GNUTranslations(buffer)


def get_locale() -> Locale:
    """The locale of the current request."""
    return _current.get()


def babel_locale() -> str:
    """The locale of the current request, as Babel names it."""
    return _current.get().replace("-", "_")


@contextmanager
def use_locale(locale: Locale) -> Iterator[None]:
    """Translate to `locale` inside the block."""
    token = _current.set(locale)
    try:
        yield
    finally:
        _current.reset(token)


def set_locale(locale: Locale) -> None:
    """Translate to `locale` for the rest of this context (a request)."""
    _current.set(locale)


def negotiate(cookie: str | None, accept_language: str | None) -> Locale:
    """A stored choice wins; otherwise the first of the browser's languages we speak; else English."""
    for locale in LOCALES:
        if cookie == locale:
            return locale
    wanted = [part.split(";")[0].strip() for part in (accept_language or "").split(",")]
    # Every Chinese reads our one Chinese: zh-TW, zh-Hant-HK and zh_CN.UTF-8 alike.
    languages = [re.split("[-_.]", name.lower())[0] for name in wanted]
    return "zh-CN" if negotiate_locale(languages, ["en", "zh"]) == "zh" else "en"


def gettext(message: str) -> str:
    """Translate into the current locale. The empty message stays empty."""
    return _to_fill(translations(_current.get()).gettext(message)) if message else ""


def translate(message: str, params: Mapping[str, object]) -> str:
    """Translate a message and fill in its values. A place that cannot be filled stays."""
    return say(Sentence.of(message, **params))


def say(sentence: Sentence) -> str:
    """The sentence in the current locale."""
    return sentence.said(gettext)


def gap() -> str:
    """What stands between two sentences of the current locale: nothing in Chinese, whose full stop brings its own room."""
    return "" if _current.get() == "zh-CN" else " "


def ngettext(singular: str, plural: str, n: int) -> str:
    """Translate a counted message into the current locale."""
    return _to_fill(translations(_current.get()).ngettext(singular, plural, n))


def _to_fill(text: str) -> str:
    # What has no places is an ordinary text: libraries that look at types would stumble over another.
    return Words(text) if "%(" in text else text
