"""What a mask check found over a whole version: counts, distributions, failures, and whom to look at."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.masking.checking.check import Check
from app.masking.checking.suspects import Reason, SuspectKind, Suspects, reasons_to_look
from app.masking.samples.sample import MaskedConversation, MaskedSample
from app.masking.settings import MaskSettings
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

    def add(
        self, masked: MaskedConversation, samples: Sequence[MaskedSample], checks: Sequence[Sequence[Check]]
    ) -> None:
        """Count one conversation, with the samples of it that were checked and the checks of each."""
        self.conversations += 1
        self.dropped += masked.dropped
        identity = masked.conversation_id
        failures = [
            Failure(identity, place, check.name, check.token, check.sentence)
            for place, found in enumerate(checks)
            for check in found
            if not check.passed
        ]
        if masked.refusal is not None:
            self.refused += 1
            failures.append(Failure(identity, None, "refused", None, masked.refusal.sentence))
        reasons = [
            Reason(
                SuspectKind.REFUSED if failure.check == SuspectKind.REFUSED else SuspectKind.FAILED,
                failure.sentence,
                failure.sample,
                failure.token,
                failure.check,
            )
            for failure in failures
        ]
        for place, sample in enumerate(samples):
            self._measure(sample, place)
            reasons += reasons_to_look(sample, place)
        self.suspects.add(identity, reasons)
        self.failed.update({failure.check for failure in failures})
        self.failing_conversations += bool(failures)
        self.failures += failures[: max(0, FIRST_FAILURES - len(self.failures))]
        if reasons and len(self.suspicious) < MOST_SUSPICIOUS:
            self.suspicious.append(identity)

    def _measure(self, sample: MaskedSample, place: int) -> None:
        """Add a sample to the counts."""
        tokens, trained = len(sample.input_ids), sample.trained
        self.spelled_control_tokens += len(sample.layout.spelled)
        self.rewritten_turns += sum(turn.rewritten for turn in sample.layout.turns)
        self.truncated_samples += bool(sample.truncated)
        self.truncated_tokens += sample.truncated
        self.truncated_trained_tokens += sum(cut.trained for cut in sample.cuts)
        if trained:
            ratio = trained / tokens
            self.samples += 1
            self.tokens += tokens
            self.trained += trained
            self.longest = max(self.longest, tokens)
            self.trained_ratio.add(ratio)
            self.lengths.add(tokens)
            self.suspects.measure(sample.conversation_id, place, tokens=tokens, ratio=ratio)
