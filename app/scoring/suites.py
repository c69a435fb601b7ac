"""Evaluation suites: prompts with named checks, read from JSON and validated; each has a hash of its content.

A suite is data: the built-in ones lie in suites/*.json, a user's own have the same shape.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from app.dialogue.conversation import Message
from app.dialogue.roles import ROLES, Role
from app.scoring.checks import Check, CheckRefused, parse_check
from app.scoring.options import Option, OptionRefused
from app.scoring.scores import Reference
from app.sentences import N_, FailureCode, Sentence, SentenceError, sentence_of

BUILT_IN_FOLDER = Path(__file__).parent / "suites"
LANGUAGES = ("en", "zh")
KINDS = ("sales", "general")
MAX_PROMPTS = 500
MAX_MESSAGE_LENGTH = 20_000


class SuiteRefused(SentenceError):
    """An unusable suite: `source` is the file, `field` the place where the sentence begins."""

    default_code: ClassVar[str] = FailureCode.SUITE_REFUSED

    def __init__(self, source: str, field: str, reason: str | Sentence, **values: Any) -> None:
        super().__init__(sentence_of(reason, values))
        self.source = source
        self.field = field

    def __str__(self) -> str:
        return f"{self.source}: {self.field} {self.sentence.english()}"


@dataclass(frozen=True)
class Prompt:
    """One question of a suite: the messages so far, what is checked in the answer, what a good one holds."""

    key: str
    title: Mapping[str, str]
    messages: tuple[Message, ...]
    checks: tuple[Check, ...]
    reference: Reference


@dataclass(frozen=True)
class Suite:
    name: str
    title: Mapping[str, str]
    description: Mapping[str, str]
    language: str
    kind: str
    prompts: tuple[Prompt, ...]
    content: Mapping[str, Any]

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


def load_suite(path: Path) -> Suite:
    """Read and validate a suite file. Raises SuiteRefused naming the file and the field."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SuiteRefused(
            path.name, N_("file"), N_("is not JSON in UTF-8: %(error)s"), error=str(error)
        ) from None
    return parse_suite(data, path.name)


def parse_suite(data: Any, source: str) -> Suite:
    """Validate a suite given as plain JSON; `source` names it in errors."""
    return _SuiteReader(source).suite(data)


_SUITE_FIELDS = {"name", "title", "description", "language", "kind", "prompts"}
_PROMPT_FIELDS = {"key", "title", "messages", "checks", "hints", "expected_length", "rivals"}


class _SuiteReader:
    """Walks a suite's JSON and says exactly where it is wrong."""

    def __init__(self, source: str) -> None:
        self.source = source

    def refuse(self, field: str, reason: str | Sentence, **values: Any) -> SuiteRefused:
        return SuiteRefused(self.source, field, reason, **values)

    def suite(self, data: Any) -> Suite:
        self.object(data, "suite", _SUITE_FIELDS)
        prompts = data.get("prompts")
        if not isinstance(prompts, list) or not prompts:
            raise self.refuse("prompts", N_("must be a non-empty list"))
        if len(prompts) > MAX_PROMPTS:
            raise self.refuse("prompts", N_("has more than %(limit)d entries"), limit=MAX_PROMPTS)
        parsed = tuple(self.prompt(prompt, f"prompts[{index}]") for index, prompt in enumerate(prompts))
        keys: set[str] = set()
        for index, prompt in enumerate(parsed):
            if prompt.key in keys:
                raise self.refuse(f"prompts[{index}].key", N_("“%(key)s” is used twice"), key=prompt.key)
            keys.add(prompt.key)
        return Suite(
            name=self.text(data.get("name"), "name"),
            title=self.localised(data.get("title"), "title"),
            description=self.localised(data.get("description"), "description"),
            language=self.choice(data.get("language"), "language", LANGUAGES),
            kind=self.choice(data.get("kind"), "kind", KINDS),
            prompts=parsed,
            content=data,
        )

    def prompt(self, data: Any, where: str) -> Prompt:
        self.object(data, where, _PROMPT_FIELDS)
        checks = data.get("checks")
        if not isinstance(checks, list) or not checks:
            raise self.refuse(f"{where}.checks", N_("must be a non-empty list"))
        return Prompt(
            key=self.text(data.get("key"), f"{where}.key"),
            title=self.localised(data.get("title"), f"{where}.title"),
            messages=self.messages(data.get("messages"), f"{where}.messages"),
            checks=tuple(self.check(check, f"{where}.checks[{index}]") for index, check in enumerate(checks)),
            reference=Reference(
                hints=self.hints(data.get("hints", []), f"{where}.hints"),
                expected_length=self.option(
                    Option("count"), data.get("expected_length"), f"{where}.expected_length"
                ),
                rivals=self.option(Option("texts", default=()), data.get("rivals"), f"{where}.rivals"),
            ),
        )

    def check(self, data: Any, where: str) -> Check:
        try:
            return parse_check(data, where)
        except CheckRefused as refusal:
            raise self.refuse(refusal.field, refusal.sentence) from None

    def messages(self, data: Any, where: str) -> tuple[Message, ...]:
        if not isinstance(data, list) or not data:
            raise self.refuse(where, N_("must be a non-empty list"))
        for index, message in enumerate(data):
            place = f"{where}[{index}]"
            self.object(message, place, {"role", "content"})
            self.choice(message.get("role"), f"{place}.role", ROLES)
            content = self.text(message.get("content"), f"{place}.content")
            if len(content) > MAX_MESSAGE_LENGTH:
                raise self.refuse(
                    f"{place}.content", N_("is longer than %(limit)d characters"), limit=MAX_MESSAGE_LENGTH
                )
        if data[-1]["role"] not in (Role.USER, Role.TOOL):
            raise self.refuse(where, N_("must end with a message that the model answers (user or tool)"))
        return tuple(data)

    def hints(self, data: Any, where: str) -> tuple[tuple[str, ...], ...]:
        if not isinstance(data, list):
            raise self.refuse(where, N_("must be a list"))
        texts = Option("texts", required=True)
        return tuple(
            self.option(texts, [hint] if isinstance(hint, str) else hint, f"{where}[{index}]")
            for index, hint in enumerate(data)
        )

    def option(self, option: Option, value: Any, where: str) -> Any:
        try:
            return option.read(value)
        except OptionRefused as refusal:
            raise self.refuse(where, refusal.sentence) from None

    def object(self, data: Any, where: str, fields: set[str]) -> None:
        if not isinstance(data, Mapping):
            raise self.refuse(where, N_("must be an object"))
        unknown = sorted(str(name) for name in set(data) - fields)
        if unknown:
            raise self.refuse(f"{where}.{unknown[0]}", N_("is not a known field"))

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.refuse(where, N_("must be a non-empty text"))
        return value

    def choice(self, value: Any, where: str, choices: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in choices:
            raise self.refuse(where, N_("must be one of %(choices)s"), choices=", ".join(choices))
        return value

    def localised(self, value: Any, where: str) -> Mapping[str, str]:
        if not isinstance(value, Mapping):
            raise self.refuse(where, N_("must be an object of texts by language"))
        return {language: self.text(value.get(language), f"{where}.{language}") for language in LANGUAGES}
