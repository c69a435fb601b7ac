"""Checks of sales conduct: asking before quoting, acknowledging, no disparagement, no empty promises.

They judge words, not intent: what each counts is in lexicon.py, and a verdict shows the words it rests on.
"""

import re
from collections.abc import Sequence

from app.scoring import definitions as asked
from app.scoring import lexicon
from app.scoring.findings import Exchange, Finding
from app.scoring.phrases import find_any, is_negated, merge
from app.scoring.text import Span, fold, sentences
from app.sentences import N_

_QUESTION_MARK = re.compile(r"\?+(?=[\s\"')\]”’!]|$|[\u3000-\u9fff])|吗(?=[\s。!.,]|$)")


def question_spans(exchange: Exchange) -> list[Span]:
    """Sentences that ask. A `?` inside an address (`/page?id=1`) does not; a sentence ending in 吗 does."""
    text = exchange.folded
    return [span for span in sentences(text) if _QUESTION_MARK.search(text[span[0] : span[1]])]


def question_asked(exchange: Exchange, check: asked.QuestionAsked) -> Finding:
    questions = question_spans(exchange)
    if check.where == "end":
        last = sentences(exchange.folded)[-1:]
        questions = [span for span in questions if span in last]
        if not questions:
            return Finding.of(False, N_("The answer does not end with a question"))
    if not questions:
        return Finding.of(False, N_("No question is asked"))
    return Finding.of(True, N_("%(count)d question(s) asked"), {"count": len(questions)}, merge(questions))


def asks_before_quoting(exchange: Exchange, check: asked.AsksBeforeQuoting) -> Finding:
    """Passes when a question about the customer's needs comes before any amount the customer did not name."""
    text = exchange.folded
    needs = [span for span in question_spans(exchange) if _asks_about_needs(text[span[0] : span[1]])]
    quotes = _quoted_amounts(exchange)
    if not needs:
        if quotes:
            return Finding.of(
                False,
                N_("A price is quoted and nothing is asked about the customer's needs"),
                {},
                merge(quotes),
            )
        return Finding.of(False, N_("Nothing is asked about the customer's needs"))
    if quotes and quotes[0][0] < needs[0][1]:
        amount = exchange.answer[quotes[0][0] : quotes[0][1]]
        return Finding.of(
            False,
            N_("“%(amount)s” is quoted before the first question is out"),
            {"amount": amount},
            merge(quotes[:1]),
        )
    return Finding.of(True, N_("Asks about the customer's needs before any price"), {}, merge(needs[:1]))


def _asks_about_needs(question: str) -> bool:
    return bool(lexicon.QUESTION_WORDS.search(question)) and not lexicon.COURTESY_QUESTIONS.search(question)


def _quoted_amounts(exchange: Exchange) -> list[Span]:
    named = {_number(match) for match in lexicon.AMOUNT.finditer(fold(exchange.customer_text))}
    return [match.span() for match in lexicon.AMOUNT.finditer(exchange.folded) if _number(match) not in named]


def _number(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group), match.group()).replace(",", "")


def acknowledges(exchange: Exchange, check: asked.Acknowledges) -> Finding:
    """Passes when one of the first sentences takes up the concern; "I don't understand" does not."""
    spans = sentences(exchange.folded)[: check.within_sentences]
    end = spans[-1][1] if spans else 0
    phrases = (*lexicon.ACKNOWLEDGEMENTS, *check.phrases)
    hits = [
        span
        for phrase, span in find_any(exchange.folded[:end], phrases)
        if phrase in lexicon.NEGATION_PROOF or not is_negated(exchange.folded, span)
    ]
    if hits:
        return Finding.of(True, N_("Takes up the concern first"), {}, merge(hits))
    return Finding.of(
        False,
        N_("The first %(count)d sentence(s) do not take up the concern"),
        {"count": check.within_sentences},
    )


def no_disparagement(exchange: Exchange, check: asked.NoDisparagement) -> Finding:
    """Insults count wherever they stand, harsh words only in a sentence about a rival; negated ones never."""
    hits = disparagements(exchange, check.rivals)
    if not hits:
        return Finding.of(True, N_("No rival is disparaged"))
    words = _quote(exchange, hits)
    return Finding.of(False, N_("Speaks ill of others: %(words)s"), {"words": words}, merge(hits))


def disparagements(exchange: Exchange, rivals: Sequence[str] = ()) -> list[Span]:
    text = exchange.folded
    hits = [span for _, span in find_any(text, lexicon.INSULTS) if not is_negated(text, span)]
    terms = (*lexicon.RIVALS, *rivals)
    if find_any(fold(exchange.customer_text) + "\n" + text, terms):
        terms += lexicon.PRONOUNS
    for start, end in sentences(text):
        sentence = text[start:end]
        if not find_any(sentence, terms):
            continue
        for _, span in find_any(sentence, lexicon.HARSH_WORDS):
            if not is_negated(sentence, span):
                hits.append((start + span[0], start + span[1]))
    return sorted(set(hits))


def no_banned_promises(exchange: Exchange, check: asked.NoBannedPromises) -> Finding:
    """Guaranteed profit, "100 % effective", "absolutely", 稳赚不赔 … unless the answer negates them."""
    hits = banned_promises(exchange)
    extra = find_any(exchange.folded, check.phrases)
    hits += [span for _, span in extra if not is_negated(exchange.folded, span)]
    if not hits:
        return Finding.of(True, N_("No promise that nobody can keep"))
    return Finding.of(
        False, N_("Promises too much: %(words)s"), {"words": _quote(exchange, hits)}, merge(hits)
    )


def banned_promises(exchange: Exchange) -> list[Span]:
    text = exchange.folded
    found = (match.span() for pattern in lexicon.BANNED_PROMISES for match in pattern.finditer(text))
    return sorted({span for span in found if not is_negated(text, span)})


def _quote(exchange: Exchange, spans: Sequence[Span]) -> str:
    words = [exchange.answer[start:end] for start, end in merge(spans)]
    return " · ".join(dict.fromkeys(words))
