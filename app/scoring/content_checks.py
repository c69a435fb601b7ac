"""Checks of what an answer contains and of its form: phrases, patterns, JSON, length, language."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import regex  # type: ignore[import-untyped, unused-ignore]

from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences.problems import RecordRefused
from app.scoring import definitions as asked
from app.scoring.findings import Exchange, Finding
from app.scoring.phrases import find_phrase, is_negated, merge
from app.scoring.text import HAN_RUN, LATIN_WORD, Span, measure, scripts
from app.sentences import N_

# A pattern is a stranger's program: it sees no more of an answer than this, and no longer than this.
PATTERN_TEXT_LIMIT = 20_000
PATTERN_SECONDS = 1.0

_STRICT: Final = StrictJson(ImportLimits())

_FENCE = re.compile(r"\A\s*```[a-zA-Z0-9_-]*[ \t]*\n(?P<body>.*?)\n?[ \t]*```\s*\Z", re.DOTALL)


def _occurrences(exchange: Exchange, phrase: str, check: asked.Phrases) -> list[Span]:
    spans = find_phrase(exchange.folded, phrase, check.except_phrases)
    if check.case_sensitive:
        wanted = phrase.strip().rstrip("*")
        spans = [span for span in spans if exchange.answer[span[0] : span[1]].startswith(wanted)]
    return spans


def _listed(words: Sequence[str]) -> str:
    return " · ".join(words)


def contains_any(exchange: Exchange, check: asked.Phrases) -> Finding:
    found = {phrase: spans for phrase in check.phrases if (spans := _occurrences(exchange, phrase, check))}
    if not found:
        return Finding.of(False, N_("None of these was found: %(words)s"), {"words": _listed(check.phrases)})
    evidence = merge(span for spans in found.values() for span in spans)
    return Finding.of(True, N_("Found: %(words)s"), {"words": _listed(list(found))}, evidence)


def contains_all(exchange: Exchange, check: asked.Phrases) -> Finding:
    found = {phrase: _occurrences(exchange, phrase, check) for phrase in check.phrases}
    evidence = merge(span for spans in found.values() for span in spans)
    missing = [phrase for phrase, spans in found.items() if not spans]
    if missing:
        return Finding.of(False, N_("Missing: %(words)s"), {"words": _listed(missing)}, evidence)
    return Finding.of(True, N_("Found: %(words)s"), {"words": _listed(list(found))}, evidence)


def contains_none(exchange: Exchange, check: asked.ContainsNone) -> Finding:
    """A negated mention ("we cannot guarantee", "不保证") is allowed unless `negated` is "counts"."""
    hits: dict[str, list[Span]] = {}
    allowed = 0
    for phrase in check.phrases:
        for span in _occurrences(exchange, phrase, check):
            if check.negated == "allowed" and is_negated(exchange.folded, span):
                allowed += 1
            else:
                hits.setdefault(phrase, []).append(span)
    if hits:
        evidence = merge(span for spans in hits.values() for span in spans)
        return Finding.of(False, N_("Must not contain: %(words)s"), {"words": _listed(list(hits))}, evidence)
    if allowed:
        return Finding.of(True, N_("Only mentioned in a negation (%(count)d time(s))"), {"count": allowed})
    return Finding.of(True, N_("None of the unwanted phrases was found"))


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool) -> Any:
    return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)


def regex_match(exchange: Exchange, check: asked.Regex) -> Finding:
    """Search the pattern within a text and a time limit; running out of time fails the check and says so."""
    text = exchange.answer[:PATTERN_TEXT_LIMIT]
    try:
        match = _compiled(check.pattern, check.ignore_case).search(text, timeout=PATTERN_SECONDS)
    except TimeoutError:
        return Finding.of(
            False,
            N_("The pattern needed more than %(seconds)g s on this answer and was stopped; simplify it"),
            {"seconds": PATTERN_SECONDS},
        )
    evidence = (match.span(),) if match and match.end() > match.start() else ()
    wanted = check.expect == "match"
    detail = N_("The pattern matches") if match else N_("The pattern does not match")
    return Finding.of(bool(match) == wanted, detail, {}, evidence)


def json_valid(exchange: Exchange, check: asked.JsonValid) -> Finding:
    """The whole answer must be JSON; one surrounding code fence is tolerated (and told) unless forbidden."""
    fenced = _FENCE.match(exchange.answer)
    if fenced and check.fence == "forbidden":
        return Finding.of(False, N_("The JSON stands in a code fence, which this check forbids"))
    body = fenced.group("body") if fenced else exchange.answer
    offset = fenced.start("body") if fenced else 0
    try:
        value = _STRICT.decode(body)
        _STRICT.inspect(value, 0, texts=False)
    except json.JSONDecodeError as error:
        return _not_json(exchange, offset + error.pos)
    except (RecordRefused, RecursionError):
        return Finding.of(
            False, N_("Not strict JSON: a repeated key, a NaN or a number or nesting beyond all limits")
        )
    return _json_shape(value, check, fenced=fenced is not None, whole=(offset, offset + len(body)))


def _not_json(exchange: Exchange, position: int) -> Finding:
    where = min(position, max(0, len(exchange.answer) - 1))
    first = exchange.answer.lstrip()[:1]
    if first not in ("{", "[") and re.search(r"[{\[]", exchange.answer):
        return Finding.of(False, N_("There is text around the JSON"), {}, ((0, 1),))
    return Finding.of(
        False,
        N_("Not valid JSON at character %(position)d"),
        {"position": position + 1},
        ((where, where + 1),),
    )


def _json_shape(value: Any, check: asked.JsonValid, *, fenced: bool, whole: Span) -> Finding:
    shape = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "value"
    params: dict[str, object] = {"found": shape, "expected": check.expect}
    if check.expect not in ("any", shape):
        return Finding.of(False, N_("Valid JSON, but %(found)s where %(expected)s is expected"), params)
    rows = value if isinstance(value, list) else [value]
    records = [row if isinstance(row, dict) else {} for row in rows] or [{}]
    missing = [key for key in check.required_keys if any(key not in record for record in records)]
    if missing:
        return Finding.of(False, N_("Valid JSON without the key(s) %(words)s"), {"words": _listed(missing)})
    detail = N_("Valid JSON (%(found)s), inside a code fence") if fenced else N_("Valid JSON (%(found)s)")
    return Finding.of(True, detail, {"found": shape}, (whole,))


def min_length(exchange: Exchange, check: asked.LengthLimit) -> Finding:
    length = measure(exchange.answer)
    detail = (
        N_("%(count)d characters; at least %(limit)d expected")
        if length.chinese
        else N_("%(count)d words; at least %(limit)d expected")
    )
    passed = length.total >= check.limit
    return Finding.of(passed, detail, {"count": length.total, "limit": check.limit})


def max_length(exchange: Exchange, check: asked.LengthLimit) -> Finding:
    length = measure(exchange.answer)
    detail = (
        N_("%(count)d characters; at most %(limit)d allowed")
        if length.chinese
        else N_("%(count)d words; at most %(limit)d allowed")
    )
    passed = length.total <= check.limit
    return Finding.of(passed, detail, {"count": length.total, "limit": check.limit})


def language(exchange: Exchange, check: asked.Language) -> Finding:
    """By share of script: Chinese characters against Latin words; other letters count against both."""
    share = scripts(exchange.answer).share(check.language)
    params: dict[str, object] = {"percent": round(share * 100), "limit": round(check.min_share * 100)}
    if share >= check.min_share:
        return Finding.of(True, N_("%(percent)d %% in the expected script"), params)
    foreign = LATIN_WORD if check.language == "zh" else HAN_RUN
    evidence = merge(match.span() for match in foreign.finditer(exchange.answer))
    return Finding.of(
        False, N_("%(percent)d %% in the expected script; at least %(limit)d %% expected"), params, evidence
    )
