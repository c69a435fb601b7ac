"""What the renderings of one conversation and of its beginnings say about each turn: where its text lies,
what the generation prompt before it writes. Where a turn begins and ends is found in `starts` and `ends`.
"""

import re
from collections.abc import Sequence
from typing import Any

from app.masking.errors import MaskRefused, TemplateFailed
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.marks import Placement, mark_depth
from app.masking.turns.renderings import Marked, Message, Renderings
from app.unlocked import cached_property

_MARKER_LIKE = r"<[^<>\s]{1,48}>|\[/?[A-Z_]{1,24}\]"


class Borders:
    """The located texts of one conversation. Comparing renderings decides, never a list of families."""

    def __init__(
        self, tokenizer: ChatTokenizer, messages: Sequence[Message], tools: Sequence[Any] | None
    ) -> None:
        self.tokenizer = tokenizer
        self.messages = messages
        self.tools = tools
        self.renderings = Renderings(tokenizer, messages, tools)
        self.text = self.renderings.text
        self.marks = self.renderings.marks
        self.markings = self.renderings.markings
        self.whole = self.renderings.whole

    def marked(self, count: int, generation: bool) -> Marked | None:
        return self.renderings.marked(count, generation)

    def text_of(self, place: int) -> str:
        content = self.messages[place].get("content")
        return content if isinstance(content, str) else ""

    def content(self, place: int) -> tuple[int | None, int | None]:
        """Start and end of the content in the rendering, each None where its mark is not there exactly once."""
        marks = self.marks.messages[place]
        core = self.text_of(place).strip()
        if not core and not self._in_order(place):
            return None, None  # nothing is written there; the call this answer makes stands elsewhere
        depth = mark_depth(core, self.markings[place].placement)
        start, end = self.whole.at(marks.start), self.whole.at(marks.end)
        if depth and start is not None:
            start = start - depth if self.text[max(0, start - depth) : start] == core[:depth] else None
        if depth and end is not None:
            end = end + depth if self.text[end : end + depth] == core[len(core) - depth :] else None
        if start is None and end is not None and self.markings[place].placement is Placement.END_ONLY:
            start = end - len(core) if core and self.text[:end].endswith(core) else None
        return start, end

    def anchor(self, place: int, prompt: Marked) -> tuple[int, int]:
        """The end of the last earlier text that both renderings show:
        its place in the whole and in the prompt.
        """
        upper = self.upper_bound(place)
        best = (0, 0)
        for marks in self.marks.messages[:place]:
            for here, there in (
                (self.whole.at(marks.end), prompt.at(marks.end)),
                (self.whole.first(marks.call), prompt.first(marks.call)),
            ):
                if here is not None and there is not None and best[0] <= here <= upper:
                    best = (here, there)
        return best

    def _in_order(self, place: int) -> bool:
        """Whether the marks of this message stand before those of the next one that is written."""
        here = self.whole.at(self.marks.messages[place].end)
        return here is None or here <= self.next_text(place, 0)

    def upper_bound(self, place: int) -> int:
        """No later than this the turn's header is over."""
        for found in self.content(place):
            if found is not None:
                return found
        return self.next_text(place, 0)

    def next_text(self, place: int, after: int) -> int:
        """Where the next later message's text begins in the whole rendering."""
        later = [
            found
            for marks in self.marks.messages[place + 1 :]
            for mark in (marks.start, marks.end)
            if (found := self.whole.at(mark)) is not None and found >= after
        ]
        return min(later, default=len(self.text))

    def own_prompt(self, place: int, asked: str) -> str | None:
        """What `add_generation_prompt` adds before this turn; None when the template cannot say."""
        bare = self.marked(place, False)
        if bare is None:
            return None
        _, there = self.anchor(place, bare)
        added = asked[self.shared(bare.text[there:], asked) :]
        return self.standing_prompt if not added and asked.endswith(self.standing_prompt) else added

    @cached_property
    def lone_prompt(self) -> str | None:
        """What `add_generation_prompt` adds to a lone question."""
        question = [{"role": "user", "content": self.marks.messages[0].start}]
        with_prompt = self._render_or_none(question, generation=True)
        without = self._render_or_none(question, generation=False)
        if with_prompt is None or without is None:
            return None
        return with_prompt[self.shared(without, with_prompt) :]

    @cached_property
    def standing_prompt(self) -> str:
        """What the template writes after a last question whether it is asked for a prompt or not, and leaves
        out where another message follows.
        """
        marks = self.marks.messages[0]
        questions = [{"role": "user", "content": mark} for mark in (marks.start, marks.end)]
        last = self._render_or_none(questions[:1], generation=False)
        if last is None or last != self._render_or_none(questions[:1], generation=True):
            return ""
        followed = self._render_or_none(questions, generation=False)
        if followed is None or {last.count(marks.start), followed.count(marks.start)} != {1}:
            return ""
        after, between = last.partition(marks.start)[2], followed.partition(marks.start)[2]
        start = self.shared(after, between)
        if self.markers.match(after, start) is None:  # headers in words may begin with the same ones
            ends = [match.end() for match in self.markers.finditer(after, 0, start)]
            start = max([after.rfind("\n", 0, start) + 1, *ends])
        return after[start:]

    @cached_property
    def preamble(self) -> str:
        """What the template writes before the first message, whoever speaks it."""
        question = [{"role": "user", "content": self.marks.messages[0].start}]
        rendered = self._render_or_none(question, generation=False) or ""
        return self.text[: self.shared(self.text, rendered)]

    @cached_property
    def _plain_answer(self) -> tuple[str, str, str]:
        """Around a plain answer: what follows it as the last message, what follows up to another question, and
        what stands before the first question. Empty where the template cannot say.
        """
        marks = self.marks.messages[0]
        messages = [
            {"role": "user", "content": marks.start},
            {"role": "assistant", "content": marks.end},
            {"role": "user", "content": marks.start},
        ]
        stopped = self._render_or_none(messages[:2], generation=False)
        went_on = self._render_or_none(messages, generation=False)
        if stopped is None or went_on is None or {stopped.count(marks.end), went_on.count(marks.end)} != {1}:
            return "", "", ""
        before, _, after = went_on.partition(marks.end)
        return (
            stopped.partition(marks.end)[2],
            after.partition(marks.start)[0],
            before.partition(marks.start)[0],
        )

    @property
    def lone_tail(self) -> str:
        """What the template writes after an answer whether the conversation goes on or not; nothing where the two
        part in the middle of words.
        """
        stopped, went_on, _ = self._plain_answer
        both = stopped[: self.shared(stopped, went_on)]
        return both if not stopped[len(both) :].strip() or self.markers.search(both) else ""

    @cached_property
    def lone_ends(self) -> tuple[str, str]:
        """What stands after a plain answer that is the last message, and between one that is not and the header of
        the next question.
        """
        stopped, went_on, opening = self._plain_answer
        return stopped, went_on[: len(went_on) - self.shared_end(went_on, opening)]

    def _render_or_none(self, messages: Sequence[Message], *, generation: bool) -> str | None:
        try:
            return self.tokenizer.render(messages, add_generation_prompt=generation, tools=self.tools)
        except TemplateFailed:
            return None

    @cached_property
    def controls(self) -> re.Pattern[str]:
        return self.tokenizer.controls.any

    @cached_property
    def markers(self) -> re.Pattern[str]:
        """Control tokens, and what looks like one but is ordinary text for this vocabulary:
        neither is ever cut in two.
        """
        return re.compile(f"{self.controls.pattern}|{_MARKER_LIKE}")

    def shared(self, left: str, right: str) -> int:
        """The length of the common beginning that cuts no control token of either text in two."""
        shared = _common_prefix(left, right)
        moved = True
        while moved:
            moved = False
            for text in (left, right):
                for match in self.markers.finditer(text):
                    if match.start() < shared < match.end():
                        shared, moved = match.start(), True
                    if match.start() >= shared:
                        break
        return shared

    def shared_end(self, left: str, right: str) -> int:
        """The length of the common end that cuts no control token of the left text in two."""
        shared = _common_prefix(left[::-1], right[::-1])
        start = len(left) - shared
        for match in self.markers.finditer(left):
            if match.start() < start < match.end():
                return len(left) - match.end()
        return shared

    def refusal(self, message: str, place: int) -> MaskRefused:
        return MaskRefused(message, template=self.tokenizer.name, turn=place + 1)


def _common_prefix(left: str, right: str) -> int:
    """The length of the common beginning, found by halving."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
