"""Where the texts of messages lie in a rendering, as their marks tell. Where turns begin and end around them is for
`starts` and `ends`.
"""

from collections.abc import Sequence

from app.masking.turns.marks import Placement, mark_depth
from app.masking.turns.renderings import Marked, Message, Renderings


class Borders:
    """The borders of every message's text in the whole rendering of one conversation."""

    def __init__(self, messages: Sequence[Message], renderings: Renderings) -> None:
        self.messages = messages
        self.text = renderings.text
        self.marks = renderings.marks
        self.markings = renderings.markings
        self.whole = renderings.whole

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
