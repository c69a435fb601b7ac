"""What a check is asked (an exchange) and what it answers (a finding with evidence). No rule lives here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from app.dialogue.conversation import Message
from app.dialogue.roles import Role
from app.scoring.text import Span, fold, measure
from app.sentences import Sentence
from app.unlocked import cached_property


@dataclass(frozen=True)
class Exchange:
    """An answer with the messages it answers. `language` is what the suite expects: "en", "zh" or None."""

    answer: str
    messages: Sequence[Message] = ()
    language: str | None = None

    @cached_property
    def folded(self) -> str:
        return fold(self.answer)

    @cached_property
    def customer_text(self) -> str:
        return "\n".join(m["content"] for m in self.messages if m["role"] == Role.USER)

    @property
    def last_user_message(self) -> str:
        texts = [m["content"] for m in self.messages if m["role"] == Role.USER]
        return texts[-1] if texts else ""

    @property
    def chinese(self) -> bool:
        return measure(self.answer).chinese


@dataclass(frozen=True)
class Finding:
    """A verdict: a sentence that says why, `evidence` are spans into the answer."""

    passed: bool
    sentence: Sentence
    evidence: tuple[Span, ...] = ()

    @classmethod
    def of(
        cls,
        passed: bool,
        template: str,
        values: Mapping[str, object] | None = None,
        evidence: Iterable[Span] = (),
    ) -> Self:
        """From a template and its values."""
        return cls(passed, Sentence.of(template, **(values or {})), tuple(evidence))


@dataclass(frozen=True)
class CheckResult:
    """A finding under the name of the check that made it."""

    name: str
    kind: str
    passed: bool
    sentence: Sentence
    evidence: tuple[Span, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "passed": self.passed,
            "sentence": self.sentence.to_json(),
            "evidence": [list(span) for span in self.evidence],
        }


def segments(answer: str, evidence: Sequence[Sequence[int]]) -> list[tuple[str, bool]]:
    """The answer cut into (text, highlighted) pieces, so that a page never counts characters itself."""
    pieces: list[tuple[str, bool]] = []
    position = 0
    for start, end in sorted((max(0, s), min(len(answer), e)) for s, e in evidence):
        if end <= max(start, position):
            continue
        start = max(start, position)
        if start > position:
            pieces.append((answer[position:start], False))
        pieces.append((answer[start:end], True))
        position = end
    if position < len(answer):
        pieces.append((answer[position:], False))
    return pieces
