"""Named, declarative checks of an answer: what kinds there are, how a definition is read, how one is run.

Pure: no database, no web, no model. A definition is plain JSON, `{"name": …, "kind": …, <options>}`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from app.scoring import conduct, content_checks
from app.scoring.findings import CheckResult, Exchange, Finding
from app.scoring.options import Option, OptionRefused
from app.sentences import N_, FailureCode, Sentence, SentenceError, sentence_of

Evaluate = Callable[[Exchange, Mapping[str, Any]], Finding]


class CheckRefused(SentenceError):
    """A check definition that cannot be used: `field` says where, the sentence goes on there."""

    default_code: ClassVar[str] = FailureCode.SUITE_REFUSED

    def __init__(self, field: str, message: str | Sentence, **values: Any) -> None:
        super().__init__(sentence_of(message, values))
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.sentence.english()}"


@dataclass(frozen=True)
class Kind:
    """One kind of check: its label for the editor, its options, the score it belongs to and how it judges."""

    label: str
    dimension: str
    evaluate: Evaluate
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A definition with its options filled in. `title` is shown to people, by language."""

    name: str
    kind: str
    options: Mapping[str, Any]
    title: Mapping[str, str] = field(default_factory=dict)

    def label(self, locale: str) -> str:
        return self.title.get("zh" if locale.startswith("zh") else "en") or self.name


_PHRASES = {
    "phrases": Option("texts", required=True),
    "except": Option("texts", default=()),
    "case_sensitive": Option("flag", default=False),
}

KINDS: Mapping[str, Kind] = {
    "contains_any": Kind(
        N_("Contains any of the phrases"), "completeness", content_checks.contains_any, _PHRASES
    ),
    "contains_all": Kind(
        N_("Contains all the phrases"), "completeness", content_checks.contains_all, _PHRASES
    ),
    "contains_none": Kind(
        N_("Contains none of the phrases"),
        "safety",
        content_checks.contains_none,
        {**_PHRASES, "negated": Option("choice", default="allowed", choices=("allowed", "counts"))},
    ),
    "regex": Kind(
        N_("Matches a pattern"),
        "format",
        content_checks.regex_match,
        {
            "pattern": Option("pattern", required=True),
            "ignore_case": Option("flag", default=False),
            "expect": Option("choice", default="match", choices=("match", "no_match")),
        },
    ),
    "json_valid": Kind(
        N_("Is valid JSON"),
        "format",
        content_checks.json_valid,
        {
            "expect": Option("choice", default="object", choices=("object", "array", "any")),
            "required_keys": Option("texts", default=()),
            "fence": Option("choice", default="allowed", choices=("allowed", "forbidden")),
        },
    ),
    "min_length": Kind(
        N_("Is at least this long"),
        "format",
        content_checks.min_length,
        {"limit": Option("count", required=True)},
    ),
    "max_length": Kind(
        N_("Is at most this long"),
        "format",
        content_checks.max_length,
        {"limit": Option("count", required=True)},
    ),
    "language": Kind(
        N_("Is written in the language"),
        "format",
        content_checks.language,
        {
            "language": Option("choice", required=True, choices=("en", "zh")),
            "min_share": Option("share", default=0.6),
        },
    ),
    "question_asked": Kind(
        N_("Asks a question"),
        "relevance",
        conduct.question_asked,
        {"where": Option("choice", default="anywhere", choices=("anywhere", "end"))},
    ),
    "asks_before_quoting": Kind(
        N_("Asks about needs before quoting a price"), "relevance", conduct.asks_before_quoting
    ),
    "acknowledges": Kind(
        N_("Acknowledges the concern"),
        "professionalism",
        conduct.acknowledges,
        {"within_sentences": Option("count", default=3), "phrases": Option("texts", default=())},
    ),
    "no_disparagement": Kind(
        N_("Does not disparage rivals"),
        "safety",
        conduct.no_disparagement,
        {"rivals": Option("texts", default=())},
    ),
    "no_banned_promises": Kind(
        N_("Makes no banned promises"),
        "safety",
        conduct.no_banned_promises,
        {"phrases": Option("texts", default=())},
    ),
}

_RESERVED = {"name", "kind", "title"}


def parse_check(data: Any, where: str = "check") -> Check:
    """Read one definition. Raises CheckRefused naming the field and what is wrong with it."""
    if not isinstance(data, Mapping):
        raise CheckRefused(where, N_("must be an object with “name” and “kind”"))
    name, kind_name = data.get("name"), data.get("kind")
    if not isinstance(name, str) or not name.strip():
        raise CheckRefused(f"{where}.name", N_("must be a non-empty text"))
    if not isinstance(kind_name, str) or kind_name not in KINDS:
        raise CheckRefused(f"{where}.kind", N_("must be one of %(choices)s"), choices=", ".join(KINDS))
    kind = KINDS[kind_name]
    unknown = sorted(set(data) - set(kind.options) - _RESERVED)
    if unknown:
        raise CheckRefused(f"{where}.{unknown[0]}", N_("is not an option of “%(kind)s”"), kind=kind_name)
    options = {option: _read_option(data, option, spec, where) for option, spec in kind.options.items()}
    return Check(name.strip(), kind_name, options, _read_title(data.get("title"), where))


def _read_option(data: Mapping[str, Any], name: str, spec: Option, where: str) -> Any:
    try:
        return spec.read(data.get(name))
    except OptionRefused as refusal:
        raise CheckRefused(f"{where}.{name}", refusal.sentence) from None


def _read_title(title: Any, where: str) -> dict[str, str]:
    if title is None:
        return {}
    if not isinstance(title, Mapping) or not all(
        isinstance(text, str) and text.strip() for text in title.values()
    ):
        raise CheckRefused(f"{where}.title", N_("must be an object of texts by language"))
    return {str(language): text for language, text in title.items()}


def run_check(check: Check, exchange: Exchange) -> CheckResult:
    """Judge one answer. An empty answer fails every check: there is nothing that could have satisfied it."""
    if not exchange.answer.strip():
        finding = Finding.of(False, N_("The answer is empty"))
    else:
        finding = KINDS[check.kind].evaluate(exchange, check.options)
    return CheckResult(check.name, check.kind, finding.passed, finding.sentence, finding.evidence)


def run_checks(checks: Sequence[Check], exchange: Exchange) -> list[CheckResult]:
    return [run_check(check, exchange) for check in checks]
