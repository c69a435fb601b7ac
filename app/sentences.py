"""What the product says to people: an English template with the values that fill it, apart until it is shown.

Pure, and below everything: whoever shows a sentence hands in the translation of its template. Failures carry a
code as well, for programs and for the advice that follows; nobody reads words to learn what happened.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, ClassVar, Final, Self

Value = str | int | float | bool | None

# What JSON and the databases hold without loss.
_LARGEST_INTEGER: Final = 2**63
_CONVERSION: Final = re.compile(r"%\((\w+)\)[-+ #0]*\d*(?:\.\d+)?[diouxXeEfFgGcrsa]")
_WHOLE: Final = re.compile(r"%\((\w+)\)[ds]")
# From here on digits stand in groups of three, which English and Chinese write alike.
_GROUPED_FROM: Final = 1000
# Places whose number is a name, or a value as it is typed: run 1234, line 1234, port 8000.
_NAMES: Final = frozenset(
    [
        "byte",
        "code",
        "column",
        "conversation",
        "earlier",
        "exit",
        "first_port",
        "form",
        "ge",
        "gt",
        "id",
        "last_port",
        "le",
        "line",
        "lt",
        "message",
        "next",
        "now",
        "number",
        "port",
        "rank",
        "row",
        "run",
    ]
) | {"sample", "seed", "seen", "signal", "status", "token", "tool", "turn", "value", "version", "wanted_port"}


def N_(message: str) -> str:
    """Mark a message for the catalogues without translating it here."""
    return message


class FailureCode(StrEnum):
    """What went wrong, for programs: stable, in no language. Pages advise by it."""

    # Of requests.
    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNAUTHENTICATED = "unauthenticated"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    # Of masks.
    MASK_SETTING = "mask_setting"
    MASK_REFUSED = "mask_refused"
    TEMPLATE_FAILED = "template_failed"
    TEMPLATE_REFUSED = "template_refused"
    TOKENIZER_UNREADABLE = "tokenizer_unreadable"
    ARRAYS_DIFFER = "arrays_differ"
    SUITE_REFUSED = "suite_refused"
    # Of jobs: the machine and the process.
    OUT_OF_MEMORY = "out_of_memory"
    DEVICE_FAILED = "device_failed"
    DISK_FULL = "disk_full"
    KILLED = "killed"
    DIED = "died"
    STALLED = "stalled"
    VANISHED = "vanished"
    DATABASE_REFUSED = "database_refused"
    UNEXPECTED = "unexpected"
    JOB_MALFORMED = "job_malformed"
    NOT_INSTALLED = "not_installed"
    # Of jobs: what they are made from.
    MODEL_MISSING = "model_missing"
    MODEL_UNUSABLE = "model_unusable"
    HUB_UNREACHABLE = "hub_unreachable"
    HUB_REFUSED = "hub_refused"
    ADAPTER_UNUSABLE = "adapter_unusable"
    EXPORT_UNSUPPORTED = "export_unsupported"
    DATA_CHANGED = "data_changed"
    TOKENIZER_CHANGED = "tokenizer_changed"
    # Of jobs: training and answering.
    CONFIG_INVALID = "config_invalid"
    NOTHING_TRAINED = "nothing_trained"
    TARGET_MODULES_MISSING = "target_modules_missing"
    NOT_A_NUMBER = "not_a_number"
    CHECKPOINT_UNUSABLE = "checkpoint_unusable"
    PROMPT_TOO_LONG = "prompt_too_long"
    BACKEND_FAILED = "backend_failed"


@dataclass(frozen=True)
class Sentence:
    """A template with `%(name)s` places, which is also the key of its translation, and their values.

    Whatever is given as a value is kept as text, number, truth or null, so that a sentence can always be
    stored, sent and shown.
    """

    template: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = {str(name): plain_value(value) for name, value in self.values.items()}
        object.__setattr__(self, "values", kept)

    @classmethod
    def of(cls, template: str, /, **values: object) -> Self:
        """With values of any kind."""
        return cls(template, values)  # type: ignore[arg-type]  # made plain by __post_init__

    def __str__(self) -> str:
        return self.english()

    def english(self) -> str:
        """The filled sentence in the language it was written in."""
        return self.said(str)

    def said(self, translate: Callable[[str], str]) -> str:
        """The sentence of the translated template. Never raises: a place that cannot be filled stays."""
        template = translate(self.template) if self.template else ""
        if not self.values:
            return template
        template, values = grouped(template, self.values)
        try:
            return template % values
        except KeyError:
            return template
        except (TypeError, ValueError, OverflowError):
            return _filled_as_text(template, values)

    def with_values(self, **values: object) -> Self:
        """The sentence with further values, or others in their place."""
        return type(self).of(self.template, **{**self.values, **values})

    def to_json(self) -> dict[str, Any]:
        """{"template": …, "values": {…}}, plain JSON."""
        return {"template": self.template, "values": dict(self.values)}

    @classmethod
    def stored_in(cls, document: Mapping[str, Any]) -> Self:
        """The `sentence` of a stored document, or what older ones hold: a text with its `params`.

        Raises ValueError where there is none.
        """
        if isinstance(kept := document.get("sentence"), Mapping):
            return cls.from_json(kept)
        text = document.get("template") or document.get("message") or document.get("detail")
        return cls.from_json({"template": text, "values": document.get("params") or {}})

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` wrote. Raises ValueError for anything else."""
        template, values = document.get("template"), document.get("values")
        if not isinstance(template, str) or not isinstance(values, Mapping):
            raise ValueError("not a sentence: it needs a template and values")  # noqa: TRY004
        return cls(template, values)


@dataclass(frozen=True)
class Failure:
    """Why something ended: a code for programs, a sentence for people. What a failed job stores."""

    code: str
    sentence: Sentence

    @classmethod
    def of(cls, code: str, template: str, /, **values: object) -> Self:
        """From a template with values of any kind."""
        return cls(code, Sentence.of(template, **values))

    def to_json(self) -> dict[str, Any]:
        """{"code": …, "template": …, "values": {…}}, plain JSON."""
        return {"code": str(self.code), **self.sentence.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` wrote. Raises ValueError for anything else."""
        code = document.get("code")
        if not isinstance(code, str) or not code:
            raise ValueError("not a failure: it needs a code")
        return cls(code, Sentence.from_json(document))


class SentenceError(Exception):
    """Base of every expected failure of the product: `sentence` says what to do, `code` what happened."""

    default_code: ClassVar[str] = FailureCode.UNEXPECTED

    def __init__(self, sentence: Sentence, code: str | None = None) -> None:
        super().__init__(sentence.english())
        self.sentence = sentence
        self.code: str = code or self.default_code

    @property
    def failure(self) -> Failure:
        """What is stored of it and sent between processes."""
        return Failure(self.code, self.sentence)


def sentence_of(message: str | Sentence, values: Mapping[str, object]) -> Sentence:
    """A sentence from a template and its values, or a ready one (with further values)."""
    if isinstance(message, Sentence):
        return message.with_values(**values) if values else message
    return Sentence.of(message, **values)


def grouped(template: str, values: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Template and values where amounts from a thousand on are written as 25,757; numbers that name something stay as they are."""
    long: dict[str, object] = {}
    for name in set(_WHOLE.findall(template)) - _NAMES:
        value = values.get(name)
        if type(value) is int and abs(value) >= _GROUPED_FROM:
            long[name] = f"{value:,}"
    if not long:
        return template, values
    filled = _WHOLE.sub(lambda place: f"%({place[1]})s" if place[1] in long else place[0], template)
    return filled, {**values, **long}


class Words(str):
    """Words in the reader's language, whose places `%` fills as a sentence fills its own: with amounts in groups of digits."""

    __slots__ = ()

    def __mod__(self, values: object, /) -> str:
        template, filled = grouped(self, values) if isinstance(values, Mapping) else (self, values)
        return str.__mod__(template, filled)


def plain_value(value: object) -> Value:
    """The value as text, number, truth or null; whatever else it is becomes text that can be stored."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _storable(str.__str__(value))
    if isinstance(value, Integral):
        number = int(value)
        return number if -_LARGEST_INTEGER < number < _LARGEST_INTEGER else f"{number:#x}"
    if isinstance(value, Real):
        real = float(value)
        return real if math.isfinite(real) else str(real)
    try:
        if isinstance(value, list | tuple | set | frozenset):
            return _storable(", ".join(str(item) for item in value))
        return _storable(str(value))
    except Exception:  # noqa: BLE001 - what cannot even be printed is named by its kind
        return type(value).__name__


def plain_json(value: object) -> Any:
    """JSON that every database and browser holds: NaN and infinity become null, what has no form in JSON becomes text."""
    if isinstance(value, Real) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {_storable(str(name)): plain_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return plain_value(value)


def _storable(text: str) -> str:
    """Without what UTF-8 and the databases cannot hold: half characters, as in a file name, and NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "")


def _filled_as_text(template: str, values: Mapping[str, object]) -> str:
    """Every place filled with its value as text: better than none where a value has another type."""
    try:
        return _CONVERSION.sub(r"%(\1)s", template) % values
    except (KeyError, TypeError, ValueError):
        return template
