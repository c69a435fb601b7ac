"""What a suite says of a check: one model a kind, its options with their types, limits and defaults.

A definition is plain JSON, `{"name": …, "kind": …, <options>}`; `kind` decides which model reads it. How a kind
judges stands in content_checks and conduct, and checks.py joins the two.
"""

from collections.abc import Sized
from typing import Annotated, Any, Final, Literal, TypeVar

import regex  # type: ignore[import-untyped, unused-ignore]
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from app.invalid import WrongValue
from app.sentences import N_

MAX_PHRASES: Final = 200
MAX_PHRASE_LENGTH: Final = 200
MAX_PATTERN_LENGTH: Final = 500
MAX_COUNT: Final = 100_000

_EMPTY: Final = N_("%(field)s must not be empty.")
Entries = TypeVar("Entries", bound=Sized)


def _says_something(text: str) -> str:
    if not text.strip():
        raise WrongValue(_EMPTY)
    return text


def _finds_something(phrase: str) -> str:
    # A phrase of nothing but its wildcard would be found everywhere.
    if not phrase.strip(" *"):
        raise WrongValue(_EMPTY)
    return phrase


def holds_something(entries: Entries) -> Entries:
    """A list's entries; an empty one is refused."""
    if not entries:
        raise WrongValue(_EMPTY)
    return entries


def _compiles(pattern: str) -> str:
    try:
        regex.compile(pattern, cache_pattern=False)
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise WrongValue(
            N_("%(field)s is not a valid regular expression: %(error)s."), error=str(error)
        ) from None
    return pattern


Text = Annotated[StrictStr, AfterValidator(_says_something)]
Phrase = Annotated[StrictStr, Field(max_length=MAX_PHRASE_LENGTH), AfterValidator(_finds_something)]
AnyPhrases = Annotated[tuple[Phrase, ...], Field(max_length=MAX_PHRASES)]
SomePhrases = Annotated[AnyPhrases, AfterValidator(holds_something)]
Pattern = Annotated[Text, Field(max_length=MAX_PATTERN_LENGTH), AfterValidator(_compiles)]
Count = Annotated[StrictInt, Field(ge=1, le=MAX_COUNT)]
Share = Annotated[StrictFloat, Field(gt=0, le=1)]


class Definition(BaseModel):
    """Part of a suite: what it does not know is refused, and null means that a field is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None}


class CheckDefinition(Definition):
    """What every kind has. `title` is shown to people, by language."""

    name: Annotated[Text, AfterValidator(str.strip)]
    title: dict[StrictStr, Text] = Field(default_factory=dict)

    def label(self, locale: str) -> str:
        """The title in the reader's language, or the name."""
        return self.title.get("zh" if locale.startswith("zh") else "en") or self.name


class Phrases(CheckDefinition):
    """Looks for phrases; what `except` names does not count as one of them."""

    phrases: SomePhrases
    except_phrases: AnyPhrases = Field((), alias="except")
    case_sensitive: StrictBool = False


class ContainsAny(Phrases):
    kind: Literal["contains_any"]


class ContainsAll(Phrases):
    kind: Literal["contains_all"]


class ContainsNone(Phrases):
    kind: Literal["contains_none"]
    negated: Literal["allowed", "counts"] = "allowed"


class Regex(CheckDefinition):
    kind: Literal["regex"]
    pattern: Pattern
    ignore_case: StrictBool = False
    expect: Literal["match", "no_match"] = "match"


class JsonValid(CheckDefinition):
    kind: Literal["json_valid"]
    expect: Literal["object", "array", "any"] = "object"
    required_keys: AnyPhrases = ()
    fence: Literal["allowed", "forbidden"] = "allowed"


class LengthLimit(CheckDefinition):
    """`limit` is in words, or in characters where the answer is Chinese."""

    limit: Count


class MinLength(LengthLimit):
    kind: Literal["min_length"]


class MaxLength(LengthLimit):
    kind: Literal["max_length"]


class Language(CheckDefinition):
    """`min_share` of the letters are in the script of the language."""

    kind: Literal["language"]
    language: Literal["en", "zh"]
    min_share: Share = 0.6


class QuestionAsked(CheckDefinition):
    kind: Literal["question_asked"]
    where: Literal["anywhere", "end"] = "anywhere"


class AsksBeforeQuoting(CheckDefinition):
    kind: Literal["asks_before_quoting"]


class Acknowledges(CheckDefinition):
    kind: Literal["acknowledges"]
    within_sentences: Count = 3
    phrases: AnyPhrases = ()


class NoDisparagement(CheckDefinition):
    kind: Literal["no_disparagement"]
    rivals: AnyPhrases = ()


class NoBannedPromises(CheckDefinition):
    kind: Literal["no_banned_promises"]
    phrases: AnyPhrases = ()


Check = Annotated[
    ContainsAny
    | ContainsAll
    | ContainsNone
    | Regex
    | JsonValid
    | MinLength
    | MaxLength
    | Language
    | QuestionAsked
    | AsksBeforeQuoting
    | Acknowledges
    | NoDisparagement
    | NoBannedPromises,
    Field(discriminator="kind"),
]
