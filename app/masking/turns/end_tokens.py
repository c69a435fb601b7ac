"""Which token ends a turn, among those that stand behind its text."""

import re
from dataclasses import dataclass

from app.masking.turns.comparison import Comparison
from app.masking.turns.probes import Probes
from app.masking.turns.renderings import Renderings
from app.unlocked import cached_property

Range = tuple[int, int]
_VISIBLE = re.compile(r"\S+")


@dataclass(frozen=True)
class Behind:
    """What the rendering says behind the text of the turn of message `place` and its last tool call: `text` begins at
    `after` and goes up to the next message's text. `calls`: the call is what the turn says last.
    """

    place: int
    after: int
    text: str
    is_last: bool
    calls: bool


class EndTokens:
    """Each rule is tried on its own; `ends` says in which order. Ranges are into the text that was given."""

    def __init__(self, renderings: Renderings, probes: Probes, comparison: Comparison) -> None:
        self._renderings = renderings
        self._probes = probes
        self._comparison = comparison
        self._stops = renderings.tokenizer.stop_tokens

    def in_tail(self, tail: str, behind: Behind) -> Range | None:
        """The end of turn in what surely belongs to the turn, which is how `behind` begins."""
        found = self._not_spelled(tail, behind.after)
        stop = next(((start, end) for start, end in found if tail[start:end] in self._stops), None)
        if stop is not None:
            return stop
        if not behind.calls:
            tail = self._without_next_header(tail)
            found = [(start, end) for start, end in found if end <= len(tail)]
        if found:
            return self._before_opening(tail, found)[-1]
        alike = self._before_opening(
            tail, [match.span() for match in self._comparison.markers.finditer(tail)]
        )
        return self._with_what_adheres(tail, alike[-1]) if alike else _words(tail)

    def _not_spelled(self, tail: str, after: int) -> list[Range]:
        """The template's own control tokens. Those that a message spells end nothing.

        As in: Qwen's tool calls, whose arguments may hold `<|im_end|>`.
        """
        breakers = self._renderings.whole.places.get(self._renderings.marks.breaker, ())
        spelled = [place - after for place in breakers]
        return [
            match.span()
            for match in self._comparison.controls.finditer(tail)
            if not any(match.start() < place < match.end() for place in spelled)
        ]

    def _without_next_header(self, tail: str) -> str:
        """Without the header of the next message, or as much as all of them begin with, behind an end of turn.

        As in: templates that end turns with what is text for this vocabulary and always write the next header,
        `</turn><|im_start|>user`.
        """
        without = (tail.removesuffix(header) for header in self._question_headers)
        tail = next((rest for rest in without if rest != tail), tail)
        markers = list(self._comparison.markers.finditer(tail))
        return next((tail[: one.start()] for one in markers[1:] if one.group() in self.opening), tail)

    @cached_property
    def _question_headers(self) -> list[str]:
        """What stands before a first question: with what opens the rendering, and behind the last marker."""
        opening = self._probes.before_question
        ends = [match.end() for match in self._comparison.markers.finditer(opening)]
        bare = opening
        while (match := self._comparison.markers.match(bare)) is not None:
            bare = bare[match.end() :]
        return [opening, bare, opening[max(ends, default=0) :]]

    def _before_opening(self, tail: str, found: list[Range]) -> list[Range]:
        """Without the tokens from the second one on that also opens the rendering: such a one ends no turn.

        As in: templates that write the model's next header behind every message, `<end><|im_start|>`.
        """
        for at, (start, end) in enumerate(found):
            if at and tail[start:end] in self.opening:
                return found[:at]
        return found

    def _with_what_adheres(self, tail: str, alike: Range) -> Range:
        """An end that does not look like a control token, right after one that does.

        As in: EXAONE's `[|endofturn|]` under another vocabulary, right after `</tool_call>`.
        """
        start, end = alike
        more = _VISIBLE.match(tail, end)
        if more is None or self._comparison.markers.match(tail, end):
            return start, end
        return more.span()

    @cached_property
    def opening(self) -> frozenset[str]:
        """The control tokens at the very beginning of the rendering, before any text."""
        tokens, at = set(), 0
        text = self._renderings.text
        while (match := self._comparison.markers.match(text, at)) is not None and match.group():
            tokens.add(match.group())
            at = match.end()
        return frozenset(tokens)

    def ends_turns(self, marker: str) -> bool:
        """Whether generation stops there, or plain answers end with it too."""
        return marker in self._stops or any(marker in tail for tail in self._probes.answer_ends)

    def stop_at(self, behind: Behind, at: int) -> Range | None:
        """The stop token that stands right there: some models stop by opening the next speaker's turn.

        As in: GLM-4 stops at `<|user|>` and `<|observation|>`, and writes no other end.
        """
        found = (span for span in self._not_spelled(behind.text, behind.after) if span[0] == at)
        return next((span for span in found if behind.text[slice(*span)] in self._stops), None)

    def sole_stop(self, behind: Behind) -> Range | None:
        """The only token that generation stops at, where no other message can stand before it.

        As in: templates that leave the call open while it is the last message, so that no other rendering tells.
        """
        later = self._renderings.marks.messages[behind.place + 1 : behind.place + 2]
        known = [self._renderings.whole.at(mark) for marks in later for mark in (marks.start, marks.end)]
        if later and behind.after + len(behind.text) not in known:
            return None
        found = self._not_spelled(behind.text, behind.after)
        stops = [span for span in found if behind.text[slice(*span)] in self._stops]
        return stops[0] if len(stops) == 1 else None

    def plain_end_at(self, text: str, at: int) -> Range | None:
        """The token that ends plain answers too, if it is next.

        As in: GLM-4.5, whose call is followed by the header `<|observation|>`, which ends no plain answer and so is none.
        """
        match = self._comparison.markers.match(text, at + len(text[at:]) - len(text[at:].lstrip()))
        if match is None or match.group() in self.opening or not self.ends_turns(match.group()):
            return None
        return match.span()


def _words(tail: str) -> Range | None:
    """All that can be seen, where nothing looks like a control token.

    As in: Vicuna and Alpaca, which end turns with words or not at all.
    """
    visible = tail.rstrip()
    return (len(visible) - len(visible.lstrip()), len(visible)) if visible else None
