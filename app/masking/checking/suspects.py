"""Conversations of a version that a person should look at, and why: what failed, was cut, rewritten or is unusual."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.masking.checking.missing import said_missing
from app.masking.samples.sample import MaskedSample
from app.masking.turns.layout import HeldField
from app.sentences import N_, Sentence

LOW_RATIO, HIGH_RATIO = 0.02, 0.95
# Of each kind so many conversations are listed; all are counted.
MOST_LISTED = 200
# At the ends of a distribution stand one sample in twenty, at most three.
_MOST_EXTREME, _SAMPLES_PER_EXTREME = 3, 20


class SuspectKind(StrEnum):
    """Why a conversation deserves a look, worst first: the order in which one walks through them."""

    FAILED = "failed"
    REFUSED = "refused"
    CUT = "cut"
    CONTROL_TOKENS = "control_tokens"
    REWRITTEN = "rewritten"
    NOT_SHOWN = "not_shown"
    LEFT_OUT = "left_out"
    SHARE = "share"
    LENGTH = "length"


_FEW = N_("Only %(percent)s %% of the tokens are trained.")
_MANY = N_("%(percent)s %% of the tokens are trained: nearly all of them.")
_LEAST = N_("Among the smallest shares of trained tokens in this version: %(percent)s %%.")
_MOST = N_("Among the largest shares of trained tokens in this version: %(percent)s %%.")
_SHORTEST = N_("Among the shortest samples of this version, in tokens: %(tokens)d.")
_LONGEST = N_("Among the longest samples of this version, in tokens: %(tokens)d.")


@dataclass(frozen=True)
class Reason:
    """Why to look; `check` names the check that failed; `token` is where to look."""

    kind: SuspectKind
    sentence: Sentence
    sample: int | None = None
    token: int | None = None
    check: str | None = None


def reasons_to_look(sample: MaskedSample, place: int) -> list[Reason]:
    """Why a person should look at this sample although no check failed; `place` is its number."""
    found = [*_cut(sample, place), *_spelled(sample, place), *_changed(sample, place)]
    ratio = sample.trained / len(sample.input_ids) if len(sample.input_ids) else 0.0
    # that nothing is trained is a failed check already
    if sample.trained and not LOW_RATIO <= ratio <= HIGH_RATIO:
        message = _FEW if ratio < LOW_RATIO else _MANY
        found.append(Reason(SuspectKind.SHARE, Sentence(message, {"percent": _percent(ratio)}), place))
    return found


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.1f}"


def _cut(sample: MaskedSample, place: int) -> Iterable[Reason]:
    if sample.truncated:
        lost = sum(cut.trained for cut in sample.cuts)
        message = N_("Tokens beyond the length limit: %(tokens)d, of them to be trained: %(trained)d.")
        params = {"tokens": sample.truncated, "trained": lost}
        yield Reason(SuspectKind.CUT, Sentence(message, params), place, len(sample.input_ids))


def _spelled(sample: MaskedSample, place: int) -> Iterable[Reason]:
    regions = {region.message: (region.start, region.end) for region in sample.layout.regions}
    regions |= {turn.message: (turn.start, turn.end) for turn in sample.layout.turns}
    for message in dict.fromkeys(spelled.message for spelled in sample.layout.spelled):
        tokens = list(dict.fromkeys(one.token for one in sample.layout.spelled if one.message == message))
        start, end = regions.get(message, (0, len(sample.text)))
        found = [at for at in (sample.text.find(token, start, end) for token in tokens) if at >= 0]
        yield Reason(
            SuspectKind.CONTROL_TOKENS,
            Sentence.of(
                N_("Turn %(turn)d spells control tokens, which stay ordinary text: %(tokens)s"),
                turn=sample.part.numbers[message] + 1,
                tokens=" ".join(tokens),
            ),
            place,
            _token_at(sample, min(found, default=start)),
        )


def _changed(sample: MaskedSample, place: int) -> Iterable[Reason]:
    """What the template shows otherwise than it was written."""
    numbers = sample.part.numbers
    for turn in sample.layout.turns:
        if turn.rewritten:
            yield Reason(
                SuspectKind.REWRITTEN,
                Sentence.of(
                    N_("The template shows turn %(turn)d otherwise than the model will have to write it."),
                    turn=numbers[turn.message] + 1,
                ),
                place,
                _token_at(sample, turn.start),
            )
    context = [one for one in sample.missing if not one.is_fault and not one.is_usual]
    if context:
        yield Reason(
            SuspectKind.LEFT_OUT,
            Sentence.of(
                N_("The template leaves out of the context, by turn: %(left_out)s."),
                left_out=said_missing(context, numbers),
            ),
            place,
        )
    words = {one.what.message for one in sample.missing if one.what.field is HeldField.WORDS}
    for message in sorted(set(sample.layout.unlocated) - words):
        yield Reason(
            SuspectKind.NOT_SHOWN,
            Sentence.of(
                N_("The template does not show turn %(turn)d as it is written."), turn=numbers[message] + 1
            ),
            place,
        )


def _token_at(sample: MaskedSample, character: int) -> int:
    """The first token of a character, or the one that begins before it and holds it."""
    after = sample.tokens_of(character, character + 1)
    return int(after.start if after.stop > after.start else max(after.start - 1, 0))


@dataclass(order=True, frozen=True)
class _Measured:
    value: float
    # The order of the version decides between equals.
    number: int
    conversation_id: int
    sample: int


@dataclass
class _Extremes:
    """The smallest and the largest values seen so far."""

    smallest: list[_Measured] = field(default_factory=list)
    largest: list[_Measured] = field(default_factory=list)

    def add(self, one: _Measured) -> None:
        if len(self.smallest) < _MOST_EXTREME or one < self.smallest[-1]:
            self.smallest = sorted([*self.smallest, one])[:_MOST_EXTREME]
        if len(self.largest) < _MOST_EXTREME or one.value > self.largest[-1].value:
            ranked = sorted([*self.largest, one], key=lambda other: (-other.value, other.number))
            self.largest = ranked[:_MOST_EXTREME]


@dataclass
class Suspects:
    """All of them with their reasons, collected while a version is checked."""

    counts: Counter[SuspectKind] = field(default_factory=Counter)
    _reasons: dict[int, list[Reason]] = field(default_factory=dict)
    _ratios: _Extremes = field(default_factory=_Extremes)
    _lengths: _Extremes = field(default_factory=_Extremes)
    _samples: int = 0

    def add(self, conversation_id: int, reasons: Sequence[Reason]) -> None:
        """One conversation's reasons; without any it is not one of them."""
        for kind in dict.fromkeys(reason.kind for reason in reasons):
            self.counts[kind] += 1
            if self.counts[kind] <= MOST_LISTED:
                listed = self._reasons.setdefault(conversation_id, [])
                listed += [reason for reason in reasons if reason.kind == kind]

    def measure(self, conversation_id: int, place: int, *, tokens: int, ratio: float) -> None:
        """A sample that trains something, for the ends of the distributions."""
        self._samples += 1
        self._ratios.add(_Measured(ratio, self._samples, conversation_id, place))
        self._lengths.add(_Measured(tokens, self._samples, conversation_id, place))

    def listed(self) -> list[tuple[int, list[Reason]]]:
        """(conversation, reasons), the worst first and otherwise in the version's order."""
        merged = {identity: [*reasons] for identity, reasons in self._reasons.items()}
        for identity, reason in self._extreme():
            if all(known.kind != reason.kind for known in merged.get(identity, ())):
                merged.setdefault(identity, []).append(reason)
        rank = {kind: at for at, kind in enumerate(SuspectKind)}
        for reasons in merged.values():
            reasons.sort(key=lambda reason: rank[reason.kind])
        ordered = sorted(merged, key=lambda identity: rank[merged[identity][0].kind])
        return [(identity, merged[identity]) for identity in ordered]

    def _extreme(self) -> Iterable[tuple[int, Reason]]:
        count = min(_MOST_EXTREME, self._samples // _SAMPLES_PER_EXTREME)
        for extremes, kind, low, high in (
            (self._ratios, SuspectKind.SHARE, _LEAST, _MOST),
            (self._lengths, SuspectKind.LENGTH, _SHORTEST, _LONGEST),
        ):
            if not count or extremes.smallest[0].value == extremes.largest[0].value:
                continue
            for listed, message in ((extremes.smallest, low), (extremes.largest, high)):
                for one in listed[:count]:
                    params: dict[str, Any] = (
                        {"percent": _percent(one.value)}
                        if kind is SuspectKind.SHARE
                        else {"tokens": int(one.value)}
                    )
                    yield one.conversation_id, Reason(kind, Sentence(message, params), one.sample)
