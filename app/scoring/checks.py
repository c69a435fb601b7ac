"""The kinds of checks: the label, the score and the judgement of each, by the `kind` of its definition.

Pure: no database, no web, no model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.scoring import conduct, content_checks
from app.scoring.definitions import Check
from app.scoring.findings import CheckResult, Exchange, Finding
from app.sentences import N_


@dataclass(frozen=True)
class Kind:
    """One kind of check: its label for the editor, the score it belongs to and how it judges.

    `evaluate` takes the definition of its own kind.
    """

    label: str
    dimension: str
    evaluate: Callable[[Exchange, Any], Finding]


KINDS: Final[Mapping[str, Kind]] = {
    "contains_any": Kind(N_("Contains any of the phrases"), "completeness", content_checks.contains_any),
    "contains_all": Kind(N_("Contains all the phrases"), "completeness", content_checks.contains_all),
    "contains_none": Kind(N_("Contains none of the phrases"), "safety", content_checks.contains_none),
    "regex": Kind(N_("Matches a pattern"), "format", content_checks.regex_match),
    "json_valid": Kind(N_("Is valid JSON"), "format", content_checks.json_valid),
    "min_length": Kind(N_("Is at least this long"), "format", content_checks.min_length),
    "max_length": Kind(N_("Is at most this long"), "format", content_checks.max_length),
    "language": Kind(N_("Is written in the language"), "format", content_checks.language),
    "question_asked": Kind(N_("Asks a question"), "relevance", conduct.question_asked),
    "asks_before_quoting": Kind(
        N_("Asks about needs before quoting a price"), "relevance", conduct.asks_before_quoting
    ),
    "acknowledges": Kind(N_("Acknowledges the concern"), "professionalism", conduct.acknowledges),
    "no_disparagement": Kind(N_("Does not disparage rivals"), "safety", conduct.no_disparagement),
    "no_banned_promises": Kind(N_("Makes no banned promises"), "safety", conduct.no_banned_promises),
}


def run_check(check: Check, exchange: Exchange) -> CheckResult:
    """Judge one answer. An empty answer fails every check: there is nothing that could have satisfied it."""
    evaluate = KINDS[check.kind].evaluate
    is_empty = not exchange.answer.strip()
    finding = Finding.of(False, N_("The answer is empty")) if is_empty else evaluate(exchange, check)
    return CheckResult(check.name, check.kind, finding.passed, finding.sentence, finding.evidence)


def run_checks(checks: Sequence[Check], exchange: Exchange) -> list[CheckResult]:
    return [run_check(check, exchange) for check in checks]
