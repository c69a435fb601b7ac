"""Evaluation suites: prompts with named checks, read from JSON and validated; each has a hash of its content.

A suite is data: the built-in ones lie in suites/*.json, a user's own have the same shape.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from app.dialogue.conversation import Message
from app.dialogue.roles import Role
from app.invalid import WrongField, WrongValue, wrong_fields
from app.scoring.checks import KINDS
from app.scoring.definitions import AnyPhrases, Check, Count, Definition, SomePhrases, Text, holds_something
from app.scoring.scores import Reference
from app.sentences import N_, FailureCode, Sentence, SentenceError

BUILT_IN_FOLDER: Final = Path(__file__).parent / "suites"
MAX_PROMPTS: Final = 500
MAX_MESSAGE_LENGTH: Final = 20_000
# Between the names of a place, in every language.
_WITHIN: Final = " › "


class SuiteRefused(SentenceError):
    """An unusable suite. `wrong` has an entry a fault, each with the field's place and a whole sentence."""

    default_code: ClassVar[str] = FailureCode.SUITE_REFUSED

    def __init__(self, wrong: Sequence[WrongField]) -> None:
        super().__init__(wrong[0].sentence)
        self.wrong = tuple(wrong)

    def __str__(self) -> str:
        return "\n".join(fault.sentence.english() for fault in self.wrong)


class Localised(Definition):
    """A text in each of the product's languages; those it does not speak are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    en: Text
    zh: Text

    def said_in(self, locale: str) -> str:
        """The text in the reader's language."""
        return self.zh if locale.startswith("zh") else self.en


class PromptMessage(Definition):
    """A message of the conversation so far."""

    role: Role
    content: Annotated[Text, Field(max_length=MAX_MESSAGE_LENGTH)]


def _wait_for_an_answer(messages: tuple[PromptMessage, ...]) -> tuple[PromptMessage, ...]:
    if messages[-1].role not in (Role.USER, Role.TOOL):
        raise WrongValue(N_("%(field)s must end with a message that the model answers (user or tool)."))
    return messages


def _alternatives(hint: Any) -> Any:
    return [hint] if isinstance(hint, str) else hint


class Prompt(Definition):
    """One question of a suite: the messages so far, what is checked in the answer, what a good one holds.

    A hint is a phrase or a list of alternatives; the expected length is in words, or in Chinese characters.
    """

    key: Text
    title: Localised
    turns: Annotated[
        tuple[PromptMessage, ...], AfterValidator(holds_something), AfterValidator(_wait_for_an_answer)
    ] = Field(alias="messages")
    checks: Annotated[tuple[Check, ...], AfterValidator(holds_something)]
    hints: tuple[Annotated[SomePhrases, BeforeValidator(_alternatives)], ...] = ()
    expected_length: Count | None = None
    rivals: AnyPhrases = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages as chat templates and checks take them."""
        return tuple({"role": turn.role.value, "content": turn.content} for turn in self.turns)

    @property
    def reference(self) -> Reference:
        """What a good answer holds."""
        return Reference(self.hints, self.expected_length, self.rivals)


def _told_apart(prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    keys: set[str] = set()
    for prompt in prompts:
        if prompt.key in keys:
            raise WrongValue(
                N_("%(field)s must have different keys, and “%(key)s” is used twice."), key=prompt.key
            )
        keys.add(prompt.key)
    return prompts


class Suite(Definition):
    """Prompts of one language. `content` is the JSON that it was read from."""

    name: Text
    title: Localised
    description: Localised
    language: Literal["en", "zh"]
    kind: Literal["sales", "general"]
    prompts: Annotated[
        tuple[Prompt, ...],
        Field(max_length=MAX_PROMPTS),
        AfterValidator(holds_something),
        AfterValidator(_told_apart),
    ]
    _content: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def content(self) -> Mapping[str, Any]:
        """The suite as it was written: what is stored and hashed."""
        return self._content

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON: the same content has the same hash, however the file is laid out."""
        return content_hash(self.content)

    def prompt(self, key: str) -> Prompt | None:
        return next((prompt for prompt in self.prompts if prompt.key == key), None)


def content_hash(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@lru_cache(maxsize=1)
def built_in_suites() -> Mapping[str, Suite]:
    """The suites that come with the product, by name."""
    suites = (load_suite(path) for path in sorted(BUILT_IN_FOLDER.glob("*.json")))
    return {suite.name: suite for suite in suites}


def suite_title(name: str, locale: str) -> str:
    """How people call it, in the reader's language; the name itself where the product has no such suite any more."""
    suite = built_in_suites().get(name)
    return suite.title.said_in(locale) if suite else name


def load_suite(path: Path) -> Suite:
    """Read and validate a suite file. Raises SuiteRefused naming the file and the fields."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        sentence = Sentence.of(
            N_("%(field)s is not JSON in UTF-8: %(error)s."), field=path.name, error=str(error)
        )
        raise SuiteRefused([WrongField("", sentence)]) from None
    return parse_suite(data, path.name)


def parse_suite(data: Any, source: str) -> Suite:
    """Validate a suite given as plain JSON. Raises SuiteRefused, whose sentences name the suite by `source`, the
    prompt by its key, the check by its name, and the field."""
    try:
        suite = Suite.model_validate(data)
    except ValidationError as refusal:
        raise SuiteRefused([_fault(dict(error), data, source) for error in refusal.errors()]) from None
    suite._content = data
    return suite


def _fault(error: dict[str, Any], data: Any, source: str) -> WrongField:
    loc = list(error["loc"])
    # The kind of a check, by which its model was chosen, is no step of the way.
    if loc[2:3] == ["checks"] and loc[4:5] and loc[4] in KINDS:
        del loc[4]
    error["loc"] = loc
    (wrong,) = wrong_fields([error])
    steps = wrong.field.split(".") if wrong.field else []
    return wrong_fields([error], called=_WITHIN.join([source, *_place(steps, data)]))[0]


def _place(steps: Sequence[str], data: Any) -> list[str]:
    """The way to a field as a suite's author knows it: the prompt's key, the check's name, the field."""
    place: list[str] = []
    rest = list(steps)
    for entries, name in (("prompts", "key"), ("checks", "name")):
        if len(rest) < 2 or rest[0] != entries:
            break
        data = data[entries][int(rest[1])]
        called = data.get(name) if isinstance(data, Mapping) else None
        known = isinstance(called, str) and bool(called.strip())
        place.append(str(called).strip() if known else f"{entries}[{rest[1]}]")
        rest = rest[2:]
    field = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in rest).removeprefix(".")
    return [*place, field] if field else place
