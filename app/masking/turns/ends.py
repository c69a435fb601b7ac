"""Where a turn ends: with the token that ends it, not with what follows that token."""

import re
from functools import cached_property

from app.masking.turns.borders import Borders
from app.masking.turns.renderings import Marked
from app.sentences import N_

_VISIBLE = re.compile(r"\S+")
_NOT_ALONE = N_(
    "The chat template %(template)s cannot render the conversation up to turn %(turn)d alone, so where the turn "
    "ends cannot be proven; leave this turn untrained."
)
_DIFFERS = N_(
    "The chat template %(template)s writes turn %(turn)d otherwise when it is the last one, so where it ends "
    "cannot be proven; use one sample per assistant turn, or leave this turn untrained."
)


class Ends:
    """Raises MaskRefused naming the turn where no end can be proven."""

    def __init__(self, borders: Borders) -> None:
        self.borders = borders

    def find(self, place: int, start: int, content_end: int | None) -> tuple[int, tuple[int, int] | None]:
        call = self._call(self.borders.whole, place, start)
        after = max(start, start if content_end is None else content_end, start if call is None else call)
        follows = self.borders.text[after : self.borders.next_text(place, after)]
        tail = self._tail(place, after, follows, calls=call == after)
        marker = self._end_marker(tail, after)
        if marker is None:
            marker = self._stop_in_next_header(follows, 0)
        elif call == after and not self._ends_turns(tail[slice(*marker)]):
            # it closes the call, and the model has to write it, but it need not be where generation stops
            body = len(tail.rstrip())
            stop = self._stop_in_next_header(follows, body) or self._sole_stop(place, after, follows)
            stop = stop or self._plain_end(follows, body)
            if stop is None and tail[slice(*marker)] not in self.borders.tokenizer.special_tokens:
                return after + body, None
            marker = stop or marker
        if marker is None:
            return after, None
        return after + marker[1], (after + marker[0], after + marker[1])

    def _tail(self, place: int, after: int, follows: str, *, calls: bool) -> str:
        """What follows the turn's text and surely belongs to the turn: what several renderings agree on."""
        is_last = self.borders.next_text(place, after) == len(self.borders.text)
        views, differs = self._views(place, after, follows, calls=calls)
        going_on = self._rest(place, True, after)
        unsure = is_last and going_on is None and len(self.borders.markers.findall(follows)) > 1
        learnt = self.borders.lone_tail
        if is_last and not unsure:
            views.append(self._without_standing_prompt(follows))
            if follows.startswith(learnt):
                views.append(learnt)
        elif unsure or not views:
            if learnt.strip() and follows.startswith(learnt):
                views.append(learnt)
            elif sole := self._sole_stop(place, after, follows):
                views.append(follows[: sole[1]])
        if not views:
            raise self.borders.refusal(_DIFFERS if differs else _NOT_ALONE, place)
        if not is_last and not any(view.strip() for view in views):
            views.append(self._before_next_header(place, follows))
        views = [view for view in views if view.strip()]
        return min(
            (view for view in views if self.borders.markers.search(view)),
            key=len,
            default=views[0] if views else "",
        )

    def _views(self, place: int, after: int, follows: str, *, calls: bool) -> tuple[list[str], bool]:
        """As far as the conversation that stops with this turn, and the one that waits for the next answer, say
        the same; and whether one of them goes on otherwise in the middle of the turn, so that it says nothing.
        """
        is_last = self.borders.next_text(place, after) == len(self.borders.text)
        stopped = self._rest(place, False, after)
        going_on = self._rest(place, True, after)
        if going_on is not None and (prompt := self._prompt_after(place, going_on, stopped)):
            going_on = going_on[: len(going_on) - len(prompt)]
        known = [] if stopped is None or is_last else [self._agreed(follows, stopped, spaced=True)]
        if going_on is not None:
            # unless it only repeats the other, some of a prompt may be left in it
            known.append(self._agreed(follows, going_on, spaced=going_on == stopped))
        views = []
        for agreed, rest in known:
            ways = (rest, follows[len(agreed) :])
            parted = all(self.borders.markers.match(way.lstrip()) for way in ways)  # each ends in its own way
            if parted and not is_last:
                views.append(agreed + self._before_next_header(place, follows[len(agreed) :]))
            elif not rest.strip() or parted or self._is_over(agreed, calls=calls):
                views.append(agreed)
        return views, len(views) < len(known)

    def _agreed(self, follows: str, view: str, *, spaced: bool = False) -> tuple[str, str]:
        """What both begin with, and what is left of the view. With `spaced` white space before a control token
        that both write next may differ.
        """
        here = there = self.borders.shared(follows, view)
        while spaced and (found := self._same_marker(follows[here:], view[there:])) is not None:
            here, there = here + found[0], there + found[1]
            more = self.borders.shared(follows[here:], view[there:])
            here, there = here + more, there + more
        return follows[:here], view[there:]

    def _same_marker(self, left: str, right: str) -> tuple[int, int] | None:
        """Where the control token ends that both begin with, white space aside."""
        here = self.borders.markers.match(left, len(left) - len(left.lstrip()))
        there = self.borders.markers.match(right, len(right) - len(right.lstrip()))
        if here is None or there is None or here.group() != there.group():
            return None
        return here.end(), there.end()

    def _is_over(self, agreed: str, *, calls: bool) -> bool:
        """Whether a turn may well be over behind this, whatever comes then."""
        said = agreed.rstrip()
        last = [match for match in self.borders.markers.finditer(said) if match.end() == len(said)]
        return any(self._ends_turns(match.group()) for match in last) if calls else bool(last) or not said

    def _sole_stop(self, place: int, after: int, follows: str) -> tuple[int, int] | None:
        """The only token that generation stops at, where no other message can stand before it."""
        later = self.borders.marks.messages[place + 1 : place + 2]
        known = [self.borders.whole.at(mark) for marks in later for mark in (marks.start, marks.end)]
        if later and after + len(follows) not in known:
            return None
        stops = [
            match.span()
            for match in self.borders.controls.finditer(follows)
            if match.group() in self.borders.tokenizer.stop_tokens
        ]
        return stops[0] if len(stops) == 1 else None

    def _plain_end(self, follows: str, at: int) -> tuple[int, int] | None:
        """The token that ends plain answers too, if it is next."""
        match = self.borders.markers.match(follows, at + len(follows[at:]) - len(follows[at:].lstrip()))
        if match is None or match.group() in self._opening or not self._ends_turns(match.group()):
            return None
        return match.span()

    def _ends_turns(self, marker: str) -> bool:
        """Whether generation stops there, or plain answers end with it too."""
        return marker in self.borders.tokenizer.stop_tokens or any(
            marker in tail for tail in self.borders.lone_ends
        )

    def _without_standing_prompt(self, follows: str) -> str:
        """Some templates write the next header after the last answer too."""
        prompt = self.borders.standing_prompt
        stops = any(token in prompt for token in self.borders.tokenizer.stop_tokens)
        return follows if stops else follows.removesuffix(prompt)

    def _before_next_header(self, place: int, between: str) -> str:
        """What stands between this turn and the header of the next message, if an end of turn is in it: up to a
        token that opens the rendering too, or to the header as it stands before the first message of that role.
        """
        opened = (m.start() for m in self.borders.markers.finditer(between) if m.group() in self._opening)
        kept = next(opened, None)
        if kept is None and self.borders.messages[place + 1]["role"] == self.borders.messages[0]["role"]:
            opening = self.borders.text[: self.borders.next_text(-1, 0)]
            kept = len(between) - self.borders.shared_end(between, opening)
        left = between[: kept or 0]
        return left if self.borders.markers.search(left) else ""

    def _call(self, rendering: Marked, place: int, start: int = 0) -> int | None:
        """Where the last tool call of this turn is named first."""
        found = rendering.first(self.borders.marks.messages[place].call)
        return found if found is not None and found >= start else None

    def _rest(self, place: int, generation: bool, after: int) -> str | None:
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

    def _stop_in_next_header(self, follows: str, at: int) -> tuple[int, int] | None:
        """Some models stop by opening the next speaker's turn: that token,
        if it follows at once and generation stops there.
        """
        match = self.borders.controls.match(follows, at)
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
