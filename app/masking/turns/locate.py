"""What lies where in a rendering: located by marks, proven by comparing renderings,
or refused with the turn named.

Nothing here knows a template family, searches message text or estimates a length.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from app.masking.errors import MaskRefused
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.borders import Borders
from app.masking.turns.carried import Carried
from app.masking.turns.comparison import Comparison
from app.masking.turns.ends import Ends
from app.masking.turns.layout import Layout, Region, Spelled, Turn
from app.masking.turns.marks import Placement
from app.masking.turns.probes import Probes
from app.masking.turns.renderings import Message, Renderings
from app.masking.turns.spelling import spelled_controls, template_controls
from app.masking.turns.starts import Starts
from app.sentences import N_


def locate(
    tokenizer: ChatTokenizer, messages: Sequence[Message], tools: Sequence[Any] | None = None
) -> Layout:
    """The layout of the whole conversation; turns without provable borders are in its `refused`.

    Raises MaskRefused where nothing can be located.
    """
    return _Locator(tokenizer, messages, tools).layout()


class _Locator:
    def __init__(
        self, tokenizer: ChatTokenizer, messages: Sequence[Message], tools: Sequence[Any] | None
    ) -> None:
        self.tokenizer = tokenizer
        self.messages = messages
        self.renderings = Renderings(tokenizer, messages, tools)
        self.text = self.renderings.text
        self.marks = self.renderings.marks
        self.markings = self.renderings.markings
        self.whole = self.renderings.whole
        self.borders = Borders(messages, self.renderings)
        comparison = Comparison(tokenizer.controls.any)
        probes = Probes(self.renderings, self.borders, comparison)
        self.starts = Starts(self.renderings, self.borders, probes, comparison)
        self.ends = Ends(self.renderings, self.borders, probes, comparison)

    def layout(self) -> Layout:
        turns: list[Turn] = []
        regions: list[Region] = []
        unlocated: list[int] = []
        refused: dict[int, MaskRefused] = {}
        for place, message in enumerate(self.messages):
            if message["role"] == "assistant":
                try:
                    turns.append(self._turn(place, turns[-1].end if turns else 0))
                except MaskRefused as refusal:
                    refused[place] = refusal
            elif self.borders.text_of(place).strip():
                found = self._regions(place)
                regions += found
                if not found:
                    unlocated.append(place)
        for before, after in pairwise(turns):
            if after.start < before.end:
                raise self.renderings.refusal(
                    N_(
                        "The chat template %(template)s writes turn %(turn)d into the turn before it; join the "
                        "two turns."
                    ),
                    after.message,
                )
        for region in regions:
            for turn in turns:
                if region.start < turn.end and turn.start < region.end:
                    raise self.renderings.refusal(
                        N_(
                            "The chat template %(template)s writes other text into turn %(turn)d, so what the "
                            "model has to write cannot be told apart; leave this conversation out."
                        ),
                        turn.message,
                    )
        spelled, controls = self._controls(regions)
        left_out = Carried(self.renderings, turns, regions).left_out()
        return Layout(self.text, turns, regions, spelled, controls, unlocated, refused, left_out)

    def _controls(self, regions: Sequence[Region]) -> tuple[list[Spelled], list[tuple[int, int]] | None]:
        """The control tokens that messages spell, and those of the template where not all are."""
        patterns, markings = self.tokenizer.controls, self.markings
        spelled = spelled_controls(self.messages, patterns, markings)
        foreign = []
        for place, (message, marking) in enumerate(zip(self.messages, markings, strict=True)):
            if message["role"] == "assistant" or not marking.left_whole:
                continue
            own = [region for region in regions if region.message == place]
            if len(own) != 1 or self.text[own[0].start : own[0].end] not in self.borders.text_of(place):
                raise self.renderings.refusal(
                    N_(
                        "The chat template %(template)s looks for control tokens in turn %(turn)d and changes "
                        "its text, so they cannot be kept text."
                    ),
                    place,
                )
            foreign.append((own[0].start, own[0].end))
        kept = template_controls(self.text, self.whole.places, self.marks.breaker, patterns.any, foreign)
        if not spelled:
            found = [match.span() for match in patterns.any.finditer(self.text)]
            spelled = self._spelled_together(found, kept)
        told_apart = spelled or any(marking.left_whole for marking in markings)
        return spelled, kept if told_apart else None

    def _spelled_together(
        self, found: Sequence[tuple[int, int]], kept: Sequence[tuple[int, int]]
    ) -> list[Spelled]:
        """Control tokens that a text and what stands next to it spell only together."""
        borders = {
            place: message
            for message, marks in enumerate(self.marks.messages)
            for mark in (marks.start, marks.end)
            for place in self.whole.places.get(mark, ())
        }
        together = [(start, end) for start, end in found if (start, end) not in kept]
        return [
            Spelled(
                next((borders[place] for place in range(start + 1, end) if place in borders), 0),
                self.text[start:end],
            )
            for start, end in together
        ]

    def _regions(self, place: int) -> list[Region]:
        marks = self.marks.messages[place]
        role = self.messages[place]["role"]
        start, end = self.borders.content(place)
        if start is not None and end is not None and start <= end:
            return [Region(place, role, start, end)]
        starts, ends = self.whole.places.get(marks.start, []), self.whole.places.get(marks.end, [])
        if len(starts) != len(ends) or self.markings[place].placement not in (
            Placement.OUTSIDE,
            Placement.END_OUTSIDE,
            Placement.BORDERS,
        ):
            return []
        return [
            Region(place, role, start, end) for start, end in zip(starts, ends, strict=True) if start <= end
        ]

    def _turn(self, place: int, end_before: int) -> Turn:
        marks = self.marks.messages[place]
        for mark in (marks.start, marks.end):
            if len(self.whole.places.get(mark, ())) > 1:
                raise self.renderings.refusal(
                    N_(
                        "The chat template %(template)s writes turn %(turn)d more than once; leave this turn "
                        "untrained."
                    ),
                    place,
                )
        content_start, content_end = self.borders.content(place)
        called = self.whole.first(marks.call) is not None
        if content_end is None and self.borders.text_of(place).strip() and not called:
            raise self.renderings.refusal(
                N_(
                    "The chat template %(template)s does not write turn %(turn)d out in a way that can be "
                    "located; leave this turn untrained."
                ),
                place,
            )
        after_thinking = self.whole.at(marks.after_thinking)
        if content_start is None and content_end is not None:
            content_start = after_thinking
        start = self.starts.find(place, content_start, end_before)
        end, end_of_turn = self.ends.find(place, start.place, content_end)
        reasoning = self.whole.places.get(marks.reasoning_end, ())
        if reasoning and content_start is not None and content_start >= reasoning[-1]:
            after_thinking = content_start
        elif reasoning:
            after_thinking = reasoning[-1]
        return Turn(
            place,
            start.place,
            end,
            content_start,
            content_end,
            end_of_turn,
            after_thinking,
            self.ends.is_rewritten(place, start.place, end),
            start.writes_header,
            start.prompt_rest,
        )
