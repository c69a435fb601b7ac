"""The mask check over a whole version: every conversation masked and checked in one stream,
with a report and a hash.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any

from app.masking.checking.checks import CHECK_NAMES, Check, run_checks
from app.masking.checking.second_encoding import SecondOpinion, second_opinions
from app.masking.checking.suspects import FAILED, REFUSED, Reason, Suspects, reasons_to_look
from app.masking.samples.arrays import ArraysBuilder, ArraysHash, MaskArrays
from app.masking.samples.sample import MaskedConversation, MaskedSample
from app.masking.samples.stream import in_batches, mask_conversations
from app.masking.settings import MaskSettings
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.sentences import Sentence

FIRST_FAILURES = 50
MOST_SUSPICIOUS = 1000
RATIO_BINS = 20
LENGTH_EDGES = (0, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


@dataclass(frozen=True)
class Failure:
    """A check that failed, or a refusal (`check` is "refused"). `token` indexes the sample's tokens."""

    conversation_id: int
    sample: int | None
    check: str
    token: int | None
    sentence: Sentence


@dataclass
class Histogram:
    """`counts[i]` values lie in [edges[i], edges[i+1]); the last bin includes what lies above."""

    edges: list[float]
    counts: list[int]

    @classmethod
    def over(cls, edges: Iterable[float]) -> "Histogram":
        listed = list(edges)
        return cls(listed, [0] * (len(listed) - 1))

    def add(self, value: float) -> None:
        place = next(
            (at for at in range(len(self.counts)) if value < self.edges[at + 1]), len(self.counts) - 1
        )
        self.counts[place] += 1


@dataclass
class VersionReport:
    """What the check found. `green` when every check of every conversation passed and something is trained."""

    settings: MaskSettings
    base_model: str
    conversations: int = 0
    samples: int = 0
    refused: int = 0
    dropped: int = 0
    tokens: int = 0
    trained: int = 0
    truncated_samples: int = 0
    truncated_tokens: int = 0
    truncated_trained_tokens: int = 0
    spelled_control_tokens: int = 0
    rewritten_turns: int = 0
    longest: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    failing_conversations: int = 0
    failures: list[Failure] = field(default_factory=list)
    suspicious: list[int] = field(default_factory=list)
    suspects: Suspects = field(default_factory=Suspects)
    trained_ratio: Histogram = field(
        default_factory=lambda: Histogram.over(place / RATIO_BINS for place in range(RATIO_BINS + 1))
    )
    lengths: Histogram = field(default_factory=lambda: Histogram.over(LENGTH_EDGES))
    hash: str = ""
    # sha256 of the tokenizer and chat template that made the arrays
    tokenizer_hash: str = ""
    # what the template's clock said, where it reads one: the same moment makes the same arrays again
    moment: datetime | None = None

    @property
    def green(self) -> bool:
        return not self.failed and self.samples > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "green": self.green,
            "base_model": self.base_model,
            "strategy": self.settings.train_on.value,
            "handling": self.settings.handling.value,
            "max_length": self.settings.max_length,
            "control_tokens": self.settings.control_tokens,
            "train_reasoning": self.settings.train_reasoning,
            "template_arguments": dict(self.settings.template_arguments),
            "moment": self.moment.isoformat(timespec="seconds") if self.moment else None,
            "conversations": self.conversations,
            "samples": self.samples,
            "refused": self.refused,
            "dropped": self.dropped,
            "tokens": self.tokens,
            "trained": self.trained,
            "skipped": self.tokens - self.trained,
            "truncated_samples": self.truncated_samples,
            "truncated_tokens": self.truncated_tokens,
            "truncated_trained_tokens": self.truncated_trained_tokens,
            "spelled_control_tokens": self.spelled_control_tokens,
            "rewritten_turns": self.rewritten_turns,
            "longest": self.longest,
            "checks": [
                {"name": name, "passed": not self.failed[name], "failed": self.failed[name]}
                for name in (*CHECK_NAMES, "refused")
            ],
            "failing_conversations": self.failing_conversations,
            "failures": [
                {
                    "conversation_id": failure.conversation_id,
                    "sample": failure.sample,
                    "check": failure.check,
                    "detail": failure.sentence.english(),
                    "token": failure.token,
                    # The same for readers of another language.
                    "sentence": failure.sentence.to_json(),
                }
                for failure in self.failures
            ],
            "suspicious": self.suspicious,
            # The same with reasons, the worst first, and the ends of the distributions beside them.
            "suspects": self.suspects.to_list(),
            "suspect_counts": dict(self.suspects.counts),
            "trained_ratio": {"edges": self.trained_ratio.edges, "counts": self.trained_ratio.counts},
            "lengths": {"edges": self.lengths.edges, "counts": self.lengths.counts},
            "hash": self.hash,
            "tokenizer_hash": self.tokenizer_hash,
        }


Conversations = Iterable[tuple[int, Mapping[str, Any]]]


def verify(
    tokenizer: ChatTokenizer,
    conversations: Conversations,
    settings: MaskSettings,
    *,
    base_model: str = "",
    validation_ids: frozenset[int] = frozenset(),
    progress: Callable[[int], None] | None = None,
    moment: datetime | None = None,
) -> tuple[VersionReport, MaskArrays]:
    """Mask and check every (id, conversation); the arrays are the very ones to train on,
    and carry the report's hash.

    `progress` is called with the number of conversations done; `moment` is for templates that write the date.
    """
    report = VersionReport(settings, base_model or tokenizer.name)
    builder = ArraysBuilder(settings, report.base_model, validation_ids)
    _check_all(report, tokenizer, conversations, builder, progress=progress, moment=moment)
    arrays = builder.finish()
    report.hash = arrays.hash
    return report, arrays


def verify_without_arrays(
    tokenizer: ChatTokenizer,
    conversations: Conversations,
    settings: MaskSettings,
    *,
    base_model: str = "",
    moment: datetime | None = None,
) -> VersionReport:
    """The same report with the same hash, in memory that does not grow with the number of conversations."""
    report = VersionReport(settings, base_model or tokenizer.name)
    with ArraysHash() as hashed:
        _check_all(report, tokenizer, conversations, hashed, moment=moment)
        report.hash = hashed.finish()
    return report


def _check_all(
    report: VersionReport,
    tokenizer: ChatTokenizer,
    conversations: Conversations,
    samples_go_to: ArraysBuilder | ArraysHash,
    *,
    progress: Callable[[int], None] | None = None,
    moment: datetime | None,
) -> None:
    moment = (moment or datetime.now()).replace(microsecond=0)  # noqa: DTZ005  (as transformers: local)
    report.moment = moment if tokenizer.reads_the_clock else None
    report.tokenizer_hash = tokenizer.fingerprint
    stream = mask_conversations(tokenizer, conversations, report.settings, moment=moment)
    for batch in _with_opinions(tokenizer, stream):
        for masked, samples, opinions in batch:
            checks = [run_checks(tokenizer, *found) for found in zip(samples, opinions, strict=True)]
            _account(report, masked, samples, checks)
            for sample in masked.samples:
                samples_go_to.add(sample.conversation_id, sample.input_ids, sample.labels)
        if progress is not None:
            progress(report.conversations)


Judged = tuple[MaskedConversation, list[MaskedSample], list[SecondOpinion]]


def _with_opinions(tokenizer: ChatTokenizer, stream: Iterator[MaskedConversation]) -> Iterator[list[Judged]]:
    """Batches of conversations with the samples to check and a second opinion on each;
    the next batch is encoded while one is checked.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="second-opinion") as encoder:
        waiting: deque[tuple[list[MaskedConversation], list[list[MaskedSample]], Future[list[SecondOpinion]]]]
        waiting = deque()
        for batch in in_batches(stream, _characters):
            # a sample that trains nothing is only a failure when its whole conversation trains nothing
            checked = [masked.samples or masked.untrained for masked in batch]
            samples = list(chain.from_iterable(checked))
            waiting.append((batch, checked, encoder.submit(second_opinions, tokenizer, samples)))
            if len(waiting) > 1:
                yield _judged(*waiting.popleft())
        while waiting:
            yield _judged(*waiting.popleft())


def _characters(masked: MaskedConversation) -> int:
    return sum(len(sample.text) for sample in (*masked.samples, *masked.untrained))


def _judged(
    batch: Sequence[MaskedConversation],
    checked: Sequence[list[MaskedSample]],
    opinions: Future[list[SecondOpinion]],
) -> list[Judged]:
    found = iter(opinions.result())
    return [
        (masked, samples, list(islice(found, len(samples))))
        for masked, samples in zip(batch, checked, strict=True)
    ]


def _account(
    report: VersionReport,
    masked: MaskedConversation,
    samples: Sequence[MaskedSample],
    checks: Sequence[Sequence[Check]],
) -> None:
    report.conversations += 1
    report.dropped += masked.dropped
    identity = masked.conversation_id
    failures = [
        Failure(identity, place, check.name, check.token, check.sentence)
        for place, found in enumerate(checks)
        for check in found
        if not check.passed
    ]
    if masked.refusal is not None:
        report.refused += 1
        failures.append(Failure(identity, None, "refused", None, masked.refusal.sentence))
    reasons = [
        Reason(
            REFUSED if failure.check == REFUSED else FAILED,
            failure.sentence,
            failure.sample,
            failure.token,
            failure.check,
        )
        for failure in failures
    ]
    for place, sample in enumerate(samples):
        _measure(report, sample, place)
        reasons += reasons_to_look(sample, place)
    report.suspects.add(identity, reasons)
    report.failed.update({failure.check for failure in failures})
    report.failing_conversations += bool(failures)
    report.failures += failures[: max(0, FIRST_FAILURES - len(report.failures))]
    if reasons and len(report.suspicious) < MOST_SUSPICIOUS:
        report.suspicious.append(identity)


def _measure(report: VersionReport, sample: MaskedSample, place: int) -> None:
    """Add a sample to the counts."""
    tokens, trained = len(sample.input_ids), sample.trained
    report.spelled_control_tokens += len(sample.layout.spelled)
    report.rewritten_turns += sum(turn.rewritten for turn in sample.layout.turns)
    report.truncated_samples += bool(sample.truncated)
    report.truncated_tokens += sample.truncated
    report.truncated_trained_tokens += sum(cut.trained for cut in sample.cuts)
    if trained:
        ratio = trained / tokens
        report.samples += 1
        report.tokens += tokens
        report.trained += trained
        report.longest = max(report.longest, tokens)
        report.trained_ratio.add(ratio)
        report.lengths.add(tokens)
        report.suspects.measure(sample.conversation_id, place, tokens=tokens, ratio=ratio)
