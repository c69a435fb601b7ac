"""The options a check definition may carry: their types, limits and the sentence said when one is wrong."""

from dataclasses import dataclass
from typing import Any, ClassVar

import regex  # type: ignore[import-untyped, unused-ignore]

from app.sentences import N_, FailureCode, Sentence, SentenceError

MAX_PHRASES = 200
MAX_PHRASE_LENGTH = 200
MAX_PATTERN_LENGTH = 500
MAX_COUNT = 100_000


class OptionRefused(SentenceError):
    """An option's value that cannot be used: the sentence goes on where its name ends."""

    default_code: ClassVar[str] = FailureCode.SUITE_REFUSED

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(Sentence.of(message, **values))


@dataclass(frozen=True)
class Option:
    """type: texts | pattern | count | share | flag | choice."""

    type: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()

    def read(self, value: Any) -> Any:
        """The value as the check uses it; the default when absent. Raises OptionRefused."""
        if value is None:
            if self.required:
                raise OptionRefused(N_("is required"))
            return self.default
        return _READERS[self.type](self, value)


def _texts(option: Option, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or (option.required and not value):
        raise OptionRefused(N_("must be a list of texts"))
    if len(value) > MAX_PHRASES:
        raise OptionRefused(N_("has more than %(limit)d entries"), limit=MAX_PHRASES)
    for text in value:
        if not isinstance(text, str) or not text.strip(" *"):
            raise OptionRefused(N_("must be a list of texts"))
        if len(text) > MAX_PHRASE_LENGTH:
            raise OptionRefused(N_("has an entry longer than %(limit)d characters"), limit=MAX_PHRASE_LENGTH)
    return tuple(value)


def _pattern(option: Option, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise OptionRefused(N_("must be a non-empty text"))
    if len(value) > MAX_PATTERN_LENGTH:
        raise OptionRefused(N_("is longer than %(limit)d characters"), limit=MAX_PATTERN_LENGTH)
    try:
        regex.compile(value, cache_pattern=False)
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise OptionRefused(N_("is not a valid pattern: %(error)s"), error=str(error)) from None
    return value


def _count(option: Option, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise OptionRefused(N_("must be a whole number from 1 to %(limit)d"), limit=MAX_COUNT)
    return value


def _share(option: Option, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise OptionRefused(N_("must be a number above 0 and at most 1"))
    return float(value)


def _flag(option: Option, value: Any) -> bool:
    if not isinstance(value, bool):
        raise OptionRefused(N_("must be true or false"))
    return value


def _choice(option: Option, value: Any) -> str:
    if not isinstance(value, str) or value not in option.choices:
        raise OptionRefused(N_("must be one of %(choices)s"), choices=", ".join(option.choices))
    return value


_READERS = {
    "texts": _texts,
    "pattern": _pattern,
    "count": _count,
    "share": _share,
    "flag": _flag,
    "choice": _choice,
}
