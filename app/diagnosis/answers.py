"""What sample answers tell that no loss does: parroting of the training set, and loss of diversity."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from app.diagnosis.findings import Evidence, Finding, FindingCode
from app.diagnosis.record import Record, SampleAnswer, Settings
from app.diagnosis.remedies import gentler, livelier
from app.sentences import N_, Sentence

COPIED: Final = N_("Copied from training answers")
SAME: Final = N_("Prompts with one and the same answer")
DISTINCT: Final = N_("Different pairs of words")

# An answer that is mostly words of one training answer; that many prompts and that share of them.
_COPIED: Final = 0.8
_PROMPTS: Final = 2
_SHARE: Final = 0.5
# The same answer to so many different prompts.
_SAME_PROMPTS: Final = 3
# Different pairs of words among all: so few, and so much fewer than before training; told by so many pairs.
_DISTINCT: Final = 0.25
_OF_BEFORE: Final = 0.5
_PAIRS: Final = 20
# Words of scripts that put no spaces between them are single characters.
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")

Rounds = Mapping[int, Sequence[SampleAnswer]]


def parroting(record: Record, settings: Settings) -> Finding | None:
    """Answers to prompts that were not trained on are training answers, word for word; before training they were not."""
    rounds = _rounds(record)
    since = _since(rounds, _parrots)
    if since is None:
        return None
    first, last = min(rounds), max(rounds)
    shown = [Evidence(COPIED, step, _copied(rounds[step]), "share") for step in sorted({first, since, last})]
    advice, changes = gentler(settings, record, _round_before(rounds, since))
    return Finding(
        FindingCode.PARROTING,
        since,
        last,
        "loss",
        Sentence.of(
            N_(
                "From step %(step)d on, sample answers repeat answers of the training set word for word, also to prompts that "
                "are not in it."
            ),
            step=since,
        ),
        tuple(shown),
        advice,
        changes,
    )


def loss_of_diversity(record: Record, settings: Settings) -> Finding | None:
    """One answer to different prompts, or few pairs of words again and again, where the base model had more."""
    rounds = _rounds(record)
    first, last = min(rounds, default=0), max(rounds, default=0)
    since = _since(rounds, _is_uniform)
    label = SAME
    measure: Callable[[Sequence[SampleAnswer]], float | None] = _same
    if since is None:
        before = distinct(rounds.get(first, ()))
        since = _since(rounds, lambda answers: _is_poor(answers, before))
        label, measure = DISTINCT, distinct
    if since is None:
        return None
    shown = [
        Evidence(label, step, measure(rounds[step]) or 0.0, "share") for step in sorted({first, since, last})
    ]
    advice, changes = livelier(settings)
    return Finding(
        FindingCode.LOSS_OF_DIVERSITY,
        since,
        last,
        "loss",
        Sentence.of(
            N_(
                "From step %(step)d on, the model answers different prompts alike, which it did not before training."
            ),
            step=since,
        ),
        tuple(shown),
        advice,
        changes,
    )


def distinct(answers: Sequence[SampleAnswer]) -> float | None:
    """Distinct-2: the share of different ones among all pairs of neighbouring words; None where there are too few to tell."""
    pairs = [pair for answer in answers for pair in pairwise(_words(answer.text))]
    return len(set(pairs)) / len(pairs) if len(pairs) >= _PAIRS else None


def _rounds(record: Record) -> Rounds:
    found: dict[int, list[SampleAnswer]] = defaultdict(list)
    for answer in record.samples:
        found[answer.step].append(answer)
    return found


def _since(rounds: Rounds, is_so: Callable[[Sequence[SampleAnswer]], bool]) -> int | None:
    """The step from which on it is so in every round; None where it is not in the last, or was in the first already."""
    steps = sorted(rounds)
    if len(steps) < 2 or is_so(rounds[steps[0]]):
        return None
    since = None
    for step in reversed(steps):
        if not is_so(rounds[step]):
            break
        since = step
    return since


def _round_before(rounds: Rounds, step: int) -> int:
    return max((other for other in rounds if other < step), default=0)


def _parrots(answers: Sequence[SampleAnswer]) -> bool:
    known = [answer.copied for answer in answers if answer.copied is not None]
    copied = sum(share >= _COPIED for share in known)
    return copied >= _PROMPTS and copied >= _SHARE * len(answers)


def _copied(answers: Sequence[SampleAnswer]) -> float:
    """Mean share over the answers; one too short to tell copies nothing."""
    return sum(answer.copied or 0.0 for answer in answers) / len(answers)


def _same(answers: Sequence[SampleAnswer]) -> float:
    """The share of the prompts that get the commonest answer."""
    counted = Counter(" ".join(_words(answer.text)) for answer in answers)
    return max(counted.values()) / len(answers)


def _is_uniform(answers: Sequence[SampleAnswer]) -> bool:
    same = _same(answers)
    return same * len(answers) >= _SAME_PROMPTS and same >= _SHARE


def _is_poor(answers: Sequence[SampleAnswer], before: float | None) -> bool:
    now = distinct(answers)
    return now is not None and before is not None and now <= min(_DISTINCT, _OF_BEFORE * before)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
