"""Where one turn begins and ends: after what the generation prompt contains, with the token that ends the
turn.

Both are found by comparing renderings of the conversation's beginnings with the whole, never by a list of
families.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.masking.errors import N_, MaskRefused, TemplateFailed
from app.masking.renderings import Marked, Message, Renderings
from app.masking.sentinels import mark_depth
from app.masking.tokenizer import ChatTokenizer

_MARKER_LIKE = r"<[^<>\s]{1,48}>|\[/?[A-Z_]{1,24}\]"


@dataclass(frozen=True)
class Start:
    """Where a turn begins; whether the model writes the header before its answer itself; and what the
    generation
    prompt adds to the whole header, which an answer may happen to begin with.
    """

    place: int
    writes_header: bool = False
    prompt_rest: str = ""


class Borders:
    """The borders in one conversation; a question without a provable answer raises MaskRefused naming the
    turn.
    """

    def __init__(
        self, tokenizer: ChatTokenizer, messages: Sequence[Message], tools: Sequence[Any] | None
    ) -> None:
        self.tokenizer = tokenizer
        self.messages = messages
        self.tools = tools
        self.renderings = Renderings(tokenizer, messages, tools)
        self.text = self.renderings.text
        self.marks = self.renderings.marks
        self.placements = self.renderings.placements
        self.whole = self.renderings.whole

    def marked(self, count: int, generation: bool) -> Marked | None:
        return self.renderings.marked(count, generation)

    def text_of(self, place: int) -> str:
        content = self.messages[place].get("content")
        return content if isinstance(content, str) else ""

    def content(self, place: int) -> tuple[int | None, int | None]:
        """Start and end of the content in the rendering, each None where its mark is not there exactly
        once.
        """
        marks = self.marks.messages[place]
        core = self.text_of(place).strip()
        depth = mark_depth(core, self.placements[place])
        start, end = self.whole.at(marks.start), self.whole.at(marks.end)
        if depth and start is not None:
            start = start - depth if self.text[max(0, start - depth) : start] == core[:depth] else None
        if depth and end is not None:
            end = end + depth if self.text[end : end + depth] == core[len(core) - depth :] else None
        return start, end

    # -- the start: after what the generation prompt already contains --------------------------------------

    def _anchor(self, place: int, prompt: Marked) -> tuple[int, int]:
        """The end of the last earlier text that both renderings show: its place in the whole and in the
        prompt.
        """
        upper = self._upper_bound(place)
        best = (0, 0)
        for earlier in range(place):
            mark = self.marks.messages[earlier].end
            here, there = self.whole.at(mark), prompt.at(mark)
            if here is not None and there is not None and best[0] <= here <= upper:
                best = (here, there)
        return best

    def _upper_bound(self, place: int) -> int:
        """No later than this the turn's header is over."""
        for mark in (self.marks.messages[place].start, self.marks.messages[place].end):
            if (found := self.whole.at(mark)) is not None:
                return found
        return self._next_text(place, 0)

    def _next_text(self, place: int, after: int) -> int:
        """Where the next later message's text begins in the whole rendering."""
        later = [
            found
            for marks in self.marks.messages[place + 1 :]
            for mark in (marks.start, marks.end)
            if (found := self.whole.at(mark)) is not None and found >= after
        ]
        return min(later, default=len(self.text))

    def start(self, place: int, content_start: int | None, content_end: int | None) -> Start:
        prompt = self.marked(place, True)
        if prompt is not None:
            here, there = self._anchor(place, prompt)
            limit = content_start if content_start is not None else content_end
            header = self.text[here : limit if limit is not None else self._next_text(place, here)]
            asked = prompt.text[there:]
            rest = asked.removeprefix(header) if asked.startswith(header) else ""
            if self.text.startswith(asked, here):  # the text itself may repeat what the prompt already says
                return Start(here + len(asked), self._writes_header(place, asked, header[len(asked) :]), rest)
            shared = self._shared(header, asked)
            if self._covers(
                place,
                prompt,
                there,
                header,
                asked,
                shared,
                header_is_whole=content_start is not None or not self.text_of(place).strip(),
            ):
                return Start(here + shared, self._writes_header(place, asked, header[shared:]), rest)
        found = self._start_by_probe(content_start, place)
        if found is None:
            raise self.refusal(
                N_(
                    "The chat template %(template)s writes a generation prompt before turn %(turn)d that "
                    "does not match "
                    "what it writes in the conversation, so where the turn begins cannot be proven."
                ),
                place,
            )
        return Start(found)

    def _covers(
        self,
        place: int,
        prompt: Marked,
        there: int,
        header: str,
        asked: str,
        shared: int,
        *,
        header_is_whole: bool,
    ) -> bool:
        """Whether the shared part reaches into the generation prompt itself, and ends where one may cut."""
        if shared == len(asked):
            return True
        own = self._own_prompt(place, asked)
        if not own or shared <= len(asked) - len(own):
            return False
        rest_asked, rest_header = asked[shared:], header[shared:]
        if self.markers.match(rest_asked):
            return True
        if not header_is_whole:
            return False
        return not (rest_header[:1].isalnum() and rest_asked[:1].isalnum())

    def _own_prompt(self, place: int, asked: str) -> str | None:
        """What `add_generation_prompt` adds before this turn; None when the template cannot say."""
        bare = self.marked(place, False)
        if bare is None:
            return None
        _, there = self._anchor(place, bare)
        return asked[self._shared(bare.text[there:], asked) :]

    def _writes_header(self, place: int, asked: str, rest: str) -> bool:
        """Whether the model itself has to write what stands before its answer, for want of a generation
        prompt.
        """
        return bool(rest.strip()) and self._own_prompt(place, asked) == ""

    def _start_by_probe(self, content_start: int | None, place: int) -> int | None:
        """For a turn whose prompt cannot be rendered in place: the prompt after a lone question, found
        once in the header.
        """
        if content_start is None or not (prompt := self._lone_prompt):
            return None
        earlier = [
            found
            for marks in self.marks.messages[:place]
            if (found := self.whole.at(marks.end)) is not None and found <= content_start
        ]
        header_start = max(earlier, default=0)
        header = self.text[header_start:content_start]
        return header_start + header.index(prompt) + len(prompt) if header.count(prompt) == 1 else None

    @cached_property
    def _lone_prompt(self) -> str | None:
        question = [{"role": "user", "content": self.marks.messages[0].start}]
        try:
            with_prompt = self.tokenizer.render(question, add_generation_prompt=True, tools=self.tools)
            without = self.tokenizer.render(question, add_generation_prompt=False, tools=self.tools)
        except TemplateFailed:
            return None
        return with_prompt[self._shared(without, with_prompt) :]

    # -- the end: the token that ends the turn, not what follows it ----------------------------------------

    def end(self, place: int, start: int, content_end: int | None) -> tuple[int, tuple[int, int] | None]:
        after = start if content_end is None else max(start, content_end)
        follows = self.text[after : self._next_text(place, after)]
        is_last = self._next_text(place, after) == len(self.text)
        stopped = self._tail(place, False, after)
        going_on = self._tail(place, True, after)
        if going_on is not None and (prompt := self._prompt_after(place, going_on, stopped)):
            going_on = going_on[: len(going_on) - len(prompt)]
        views = [] if stopped is None or is_last else [follows[: self._shared(follows, stopped)]]
        if going_on is not None:
            views.append(follows[: self._shared(follows, going_on)])
        unsure = is_last and going_on is None and len(self.markers.findall(follows)) > 1
        if is_last and not unsure:
            views.append(follows)
        elif unsure or not views:
            raise self.refusal(
                N_(
                    "The chat template %(template)s cannot render the conversation up to turn %(turn)d alone."
                ),
                place,
            )
        if not is_last and not any(view.strip() for view in views):
            views.append(self._before_next_header(follows))
        views = [view for view in views if view.strip()]
        tail = min(
            (view for view in views if self.markers.search(view)), key=len, default=views[0] if views else ""
        )
        marker = self._end_marker(tail, after) or self._stop_in_next_header(follows)
        if marker is None:
            return after, None
        return after + marker[1], (after + marker[0], after + marker[1])

    def _before_next_header(self, follows: str) -> str:
        """What is left of the text between two turns without the header that also opens the conversation."""
        opening = self.text[: self._next_text(-1, 0)]
        kept = len(follows)
        pieces = [match.start() for match in self.markers.finditer(follows)]
        for start in reversed(pieces):
            if not opening.endswith(follows[start:]):
                break
            kept = start
        left = follows[:kept]
        return left if kept < len(follows) and self.markers.search(left) else ""

    def _tail(self, place: int, generation: bool, after: int) -> str | None:
        """What follows the turn's text when the conversation ends with this turn."""
        rendering = self.marked(place + 1, generation)
        if rendering is None:
            return None
        mark = self.marks.messages[place].end
        there, here = rendering.at(mark), self.whole.at(mark)
        if here is None:
            here, there = self._anchor(place, rendering)
        if there is None:
            return None
        skipped = after - here
        between = rendering.text[there : there + skipped]
        return rendering.text[there + skipped :] if between == self.text[here:after] else None

    def _prompt_after(self, place: int, going_on: str, stopped: str | None) -> str:
        """The generation prompt at the end of a rendering that stops after this turn."""
        before = self.marked(place, True)
        if before is not None:
            _, there = self._anchor(place, before)
            own = self._own_prompt(place, before.text[there:])
            if own and going_on.endswith(own):
                return own
        if (lone := self._lone_prompt) and going_on.endswith(lone):
            return lone
        return going_on[self._shared(stopped, going_on) :] if stopped is not None else ""

    def _end_marker(self, tail: str, offset: int) -> tuple[int, int] | None:
        """The first token generation stops at, else the last control token, else visible text before white
        space.

        Control tokens that a message spells (in a tool call, say) end nothing.
        """
        spelled = [place - offset for place in self.whole.places.get(self.marks.breaker, ())]
        found = [
            match.span()
            for match in self.controls.finditer(tail)
            if not any(match.start() < place < match.end() for place in spelled)
        ]
        for start, end in found:
            if tail[start:end] in self.tokenizer.stop_tokens:
                return start, end
        found = found or [match.span() for match in self.markers.finditer(tail)]
        if found:
            return found[-1]
        visible = tail.rstrip()
        return (len(visible) - len(visible.lstrip()), len(visible)) if visible else None

    def _stop_in_next_header(self, follows: str) -> tuple[int, int] | None:
        """Some models stop by opening the next speaker's turn: that token, if it follows at once and
        generation stops there.
        """
        match = self.controls.match(follows)
        return match.span() if match and match.group() in self.tokenizer.stop_tokens else None

    def is_rewritten(self, place: int, start: int, end: int) -> bool:
        """Whether the turn looks different here from how it looks when it is the last one."""
        if place == len(self.messages) - 1:
            return False
        rendering = self.marked(place + 1, False)
        if rendering is None:
            return False
        here, there = self._anchor(place, rendering)
        return not rendering.text[there:].startswith(self.text[here:end])

    # -- control tokens ------------------------------------------------------------------------------------

    @cached_property
    def controls(self) -> re.Pattern[str]:
        return self.tokenizer.controls.any

    @cached_property
    def markers(self) -> re.Pattern[str]:
        """Control tokens, and what looks like one but is ordinary text for this vocabulary: neither is
        ever cut in two.
        """
        return re.compile(f"{self.controls.pattern}|{_MARKER_LIKE}")

    def _shared(self, left: str, right: str) -> int:
        """The length of the common beginning that cuts no control token of either text in two."""
        length = min(len(left), len(right))
        shared = next((at for at in range(length) if left[at] != right[at]), length)
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

    def refusal(self, message: str, place: int) -> MaskRefused:
        return MaskRefused(message, template=self.tokenizer.name, turn=place + 1)
