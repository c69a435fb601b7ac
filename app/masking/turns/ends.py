"""Where a turn ends: with the token that ends it, not with what follows that token."""

from app.masking.turns.borders import Borders
from app.masking.turns.comparison import Comparison
from app.masking.turns.end_tokens import Behind, EndTokens, Range
from app.masking.turns.probes import Probes
from app.masking.turns.renderings import Renderings
from app.masking.turns.tails import Tails


class Ends:
    """Raises MaskRefused naming the turn where no end can be proven."""

    def __init__(
        self, renderings: Renderings, borders: Borders, probes: Probes, comparison: Comparison
    ) -> None:
        self._renderings = renderings
        self._borders = borders
        self._tokens = EndTokens(renderings, probes, comparison)
        self._tails = Tails(renderings, borders, probes, comparison, self._tokens)

    def find(self, place: int, start: int, content_end: int | None) -> tuple[int, Range | None]:
        """Where the turn of this message, which begins at `start`, ends, and its end of turn if it has one."""
        behind = self._behind(place, start, content_end)
        tail = self._tails.find(behind)
        marker: Range | None = self._tokens.in_tail(tail, behind)
        body = 0  # what the turn says behind its text besides an end of turn
        if marker is None:
            marker = self._tokens.stop_at(behind, 0)
        elif behind.calls and not self._tokens.ends_turns(tail[slice(*marker)]):
            body = len(tail.rstrip())
            marker = self._end_of_call(behind, body, tail, marker)
        if marker is None:
            return behind.after + body, None
        return behind.after + marker[1], (behind.after + marker[0], behind.after + marker[1])

    def _behind(self, place: int, start: int, content_end: int | None) -> Behind:
        call = self._renderings.whole.first(self._renderings.marks.messages[place].call)
        after = max([start, *(known for known in (content_end, call) if known is not None)])
        next_text = self._borders.next_text(place, after)
        text = self._renderings.text
        return Behind(place, after, text[after:next_text], next_text == len(text), calls=call == after)

    def _end_of_call(self, behind: Behind, body: int, tail: str, closing: Range) -> Range | None:
        """`closing` closes the call, and the model has to write it, but it need not be where generation stops.

        As in: Gemma 4, GLM-4.5 and gpt-oss, which go on with the result of the call.
        """
        stop = (
            self._tokens.stop_at(behind, body)
            or self._tokens.sole_stop(behind)
            or self._tokens.plain_end_at(behind.text, body)
        )
        if stop is None and tail[slice(*closing)] not in self._renderings.tokenizer.special_tokens:
            return None
        return stop or closing

    def is_rewritten(self, place: int, start: int, end: int) -> bool:
        """Whether the turn looks different here from how it looks when it is the last one."""
        if place == len(self._renderings.messages) - 1:
            return False
        rendering = self._renderings.marked(place + 1, False)
        if rendering is None:
            return False
        here, there = self._borders.anchor(place, rendering)
        return not rendering.text[there:].startswith(self._renderings.text[here:end])
