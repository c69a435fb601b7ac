"""Where a turn ends: with the token that ends it, not with what follows that token."""

import re
from functools import cached_property

from app.masking.borders import Borders
from app.masking.errors import N_
from app.masking.renderings import Marked

_VISIBLE = re.compile(r"\S+")


class Ends:
    """Raises MaskRefused naming the turn where no end can be proven."""

    def __init__(self, borders: Borders) -> None:
        self.borders = borders

    def find(self, place: int, start: int, content_end: int | None) -> tuple[int, tuple[int, int] | None]:
        call = self._call(self.borders.whole, place, start)
        after = max(start, start if content_end is None else content_end, start if call is None else call)
        follows = self.borders.text[after : self.borders.next_text(place, after)]
        is_last = self.borders.next_text(place, after) == len(self.borders.text)
        stopped = self._tail(place, False, after)
        going_on = self._tail(place, True, after)
        if going_on is not None and (prompt := self._prompt_after(place, going_on, stopped)):
            going_on = going_on[: len(going_on) - len(prompt)]
        views = [] if stopped is None or is_last else [follows[: self.borders.shared(follows, stopped)]]
        if going_on is not None:
            views.append(follows[: self.borders.shared(follows, going_on)])
        unsure = is_last and going_on is None and len(self.borders.markers.findall(follows)) > 1
        if is_last and not unsure:
            views.append(follows)
        elif unsure or not views:
            learnt = self.borders.lone_tail
            if learnt.strip() and follows.startswith(learnt):
                views.append(learnt)
        if not views:
            raise self.borders.refusal(
                N_(
                    "The chat template %(template)s cannot render the conversation up to turn %(turn)d alone."
                ),
                place,
            )
        if not is_last and not any(view.strip() for view in views):
            views.append(self._before_next_header(follows))
        views = [view for view in views if view.strip()]
        tail = min(
            (view for view in views if self.borders.markers.search(view)),
            key=len,
            default=views[0] if views else "",
        )
        marker = self._end_marker(tail, after) or self._stop_in_next_header(follows)
        if marker is None:
            return after, None
        return after + marker[1], (after + marker[0], after + marker[1])

    def _before_next_header(self, follows: str) -> str:
        """What is left of the text between two turns without the header that also opens the conversation."""
        opening = self.borders.text[: self.borders.next_text(-1, 0)]
        kept = len(follows)
        pieces = [match.start() for match in self.borders.markers.finditer(follows)]
        for start in reversed(pieces):
            if not opening.endswith(follows[start:]):
                break
            kept = start
        left = follows[:kept]
        return left if kept < len(follows) and self.borders.markers.search(left) else ""

    def _call(self, rendering: Marked, place: int, start: int = 0) -> int | None:
        """Where the last tool call of this turn is named first."""
        found = rendering.first(self.borders.marks.messages[place].call)
        return found if found is not None and found >= start else None

    def _tail(self, place: int, generation: bool, after: int) -> str | None:
        """What follows the turn's text and last tool call when the conversation ends with this turn."""
        rendering = self.borders.marked(place + 1, generation)
        if rendering is None:
            return None
        whole, mark = self.borders.whole, self.borders.marks.messages[place].end
        known = [
            (whole.at(mark), rendering.at(mark)),
            (self._call(whole, place), self._call(rendering, place)),
        ]
        both = [(here, there) for here, there in known if here is not None and there is not None]
        if not both and whole.at(mark) is not None:
            return None
        usable = [pair for pair in both if pair[0] <= after]
        here, there = max(usable) if usable else self.borders.anchor(place, rendering)
        skipped = after - here
        between = rendering.text[there : there + skipped]
        return rendering.text[there + skipped :] if between == self.borders.text[here:after] else None

    def _prompt_after(self, place: int, going_on: str, stopped: str | None) -> str:
        """The generation prompt at the end of a rendering that stops after this turn."""
        lone, before = self.borders.lone_prompt, self.borders.marked(place, True)
        if before is not None:
            _, there = self.borders.anchor(place, before)
            own = self.borders.own_prompt(place, before.text[there:])
            if own and going_on.endswith(own):
                # after another answer the prompt may seem to hold that answer's end as well
                return lone if lone and own.endswith(lone) else own
        if lone and going_on.endswith(lone):
            return lone
        if stopped is None or not stopped.strip():
            return ""
        return going_on[self.borders.shared(stopped, going_on) :]

    def _end_marker(self, tail: str, offset: int) -> tuple[int, int] | None:
        """The first token generation stops at, else the last control token before a turn is opened,
        else visible text before white space.

        Control tokens that a message spells (in a tool call, say) end nothing.
        """
        spelled = [place - offset for place in self.borders.whole.places.get(self.borders.marks.breaker, ())]
        found = [
            match.span()
            for match in self.borders.controls.finditer(tail)
            if not any(match.start() < place < match.end() for place in spelled)
        ]
        for start, end in found:
            if tail[start:end] in self.borders.tokenizer.stop_tokens:
                return start, end
        known = bool(found)
        found = self._before_opening(
            tail, found or [match.span() for match in self.borders.markers.finditer(tail)]
        )
        if not found:
            visible = tail.rstrip()
            return (len(visible) - len(visible.lstrip()), len(visible)) if visible else None
        start, end = found[-1]
        if known or (more := _VISIBLE.match(tail, end)) is None or self.borders.markers.match(tail, end):
            return start, end
        return more.span()  # an end that does not look like a control token, right after one that does

    def _before_opening(self, tail: str, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Without the tokens from the first on that also opens the rendering: an end of turn does not."""
        for at, (start, end) in enumerate(found):
            if at and tail[start:end] in self._opening:
                return found[:at]
        return found

    @cached_property
    def _opening(self) -> frozenset[str]:
        """The control tokens at the very beginning of the rendering, before any text."""
        tokens, at = set(), 0
        while (match := self.borders.markers.match(self.borders.text, at)) is not None and match.group():
            tokens.add(match.group())
            at = match.end()
        return frozenset(tokens)

    def _stop_in_next_header(self, follows: str) -> tuple[int, int] | None:
        """Some models stop by opening the next speaker's turn: that token,
        if it follows at once and generation stops there.
        """
        match = self.borders.controls.match(follows)
        return match.span() if match and match.group() in self.borders.tokenizer.stop_tokens else None

    def is_rewritten(self, place: int, start: int, end: int) -> bool:
        """Whether the turn looks different here from how it looks when it is the last one."""
        if place == len(self.borders.messages) - 1:
            return False
        rendering = self.borders.marked(place + 1, False)
        if rendering is None:
            return False
        here, there = self.borders.anchor(place, rendering)
        return not rendering.text[there:].startswith(self.borders.text[here:end])
