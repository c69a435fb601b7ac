"""Layouts of many conversations: the exact way for each,
and a proven short cut where a template is independent of what texts say.

The short cut locates one stand-in conversation per sequence of roles. For every other conversation it renders
the plain text, joins the stand-in's literal pieces with the messages' own texts, and takes the layout over
only if both are equal character by character.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from app.dialogue.roles import Role
from app.masking.errors import MaskRefused
from app.masking.independence.proof import Independence, prove_independence
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.layout import Layout, LeftOut, Region, Turn
from app.masking.turns.locate import locate
from app.unlocked import cached_property

_SHORT_CUT_ROLES = frozenset({Role.SYSTEM, Role.USER, Role.ASSISTANT})
_MOST_KNOWN = 4096


@dataclass(frozen=True)
class Found:
    """`expected_controls` is the number of control tokens the template wrote, where it is known beforehand."""

    layout: Layout
    expected_controls: int | None = None


class KnownLayouts:
    """Lays out conversations under one tokenizer and remembers the layouts it has proven."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[tuple[str, ...], _KnownLayout | None] = {}
        self._ahead: dict[int, str] = {}

    def rendered(self, many: Sequence[Sequence[Mapping[str, Any]]]) -> dict[int, str]:
        """Whole conversations that `lay_out` will be asked for, rendered all at once, by the `id` of their messages.
        May run beside everything else here.
        """
        if self._independence is None:
            return {}
        texts = self.tokenizer.render_ahead(many)
        return {id(one): text for one, text in zip(many, texts, strict=True) if text is not None}

    def remember(self, rendered: dict[int, str]) -> None:
        """Use these from now on; forgets those before. Their messages must live until `lay_out` sees them."""
        self._ahead = rendered

    def lay_out(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None, *, short_cut: bool = True
    ) -> Found:
        """Raises MaskRefused."""
        known = self._known_for(messages) if short_cut and not tools else None
        if known is not None:
            text = self._ahead.pop(id(messages), None)
            if text is None:
                text = self.tokenizer.render(messages)
            layout = known.fit(text, [message["content"] for message in messages])
            if layout is not None:
                return Found(layout, known.controls)
        return Found(locate(self.tokenizer, messages, tools))

    @cached_property
    def _independence(self) -> Independence | None:
        return (
            None if self.tokenizer.wants_content_parts else prove_independence(self.tokenizer.template.source)
        )

    def _known_for(self, messages: Sequence[Mapping[str, Any]]) -> "_KnownLayout | None":
        independence = self._independence
        if independence is None:
            return None
        controls = self.tokenizer.controls
        for message in messages:
            if len(message) != 2 or "content" not in message or message["role"] not in _SHORT_CUT_ROLES:
                return None
            text = message["content"]
            if not independence.is_ordinary(text) or controls.forbidden_in(text, message["role"]):
                return None
            if message["role"] == "assistant" and "</think" in text:
                return None  # where the thinking ends has to be located
        if independence.needs_distinct_texts and len(messages) > len(
            {message["content"].strip() for message in messages}
        ):
            return None
        roles = tuple(message["role"] for message in messages)
        if roles not in self.known:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known[roles] = self._learn(roles, independence)
        return self.known[roles]

    def _learn(self, roles: tuple[str, ...], independence: Independence) -> "_KnownLayout | None":
        stand_in = [{"role": role, "content": f"Qq{place}qQ"} for place, role in enumerate(roles)]
        if not all(independence.is_ordinary(message["content"]) for message in stand_in):
            return None
        try:
            layout = locate(self.tokenizer, stand_in)
        except MaskRefused:
            return None  # the conversation itself gets the refusal, in its own words
        if layout.refused:
            return None
        controls = len(self.tokenizer.controls.any.findall(layout.text))
        return _KnownLayout.of(layout, [message["content"] for message in stand_in], controls)


@dataclass(frozen=True)
class _KnownLayout:
    """`literals[k]` stands before the text of message `order[k]`; the last literal stands at the end.

    `places` are the places of all turns, then of all regions, each as (texts before it, code points after the
    last of these texts). `risky_turns` are those whose prompt says more than their header.
    """

    literals: tuple[str, ...]
    order: tuple[int, ...]
    turns: tuple[Turn, ...]
    regions: tuple[Region, ...]
    places: tuple[tuple[int, int], ...]
    risky_turns: tuple[Turn, ...]
    unlocated: tuple[int, ...]
    left_out: tuple[LeftOut, ...]
    controls: int

    @classmethod
    def of(cls, layout: Layout, texts: Sequence[str], controls: int) -> "_KnownLayout | None":
        """None where a text is not rendered exactly as it is, exactly once."""
        slots = [(region.start, region.end, region.message) for region in layout.regions]
        for turn in layout.turns:
            if turn.content_start is None or turn.content_end is None or turn.reasoning_end is not None:
                return None
            slots.append((turn.content_start, turn.content_end, turn.message))
        slots.sort()
        if len({message for _, _, message in slots}) != len(slots):
            return None
        if any(layout.text[start:end] != texts[message] for start, end, message in slots):
            return None
        ends = [0, *(end for _, end, _ in slots)]
        starts = [*(start for start, _, _ in slots), len(layout.text)]

        def relative(place: int) -> tuple[int, int]:
            before = sum(end <= place for end in ends) - 1
            return before, place - ends[before]

        places = [place for turn in layout.turns for place in _places_of(turn)]
        places += [place for region in layout.regions for place in (region.start, region.end)]
        literals = tuple(layout.text[end:start] for end, start in zip(ends, starts, strict=True))
        order = tuple(message for _, _, message in slots)
        return cls(
            literals,
            order,
            tuple(layout.turns),
            tuple(layout.regions),
            tuple(map(relative, places)),
            tuple(turn for turn in layout.turns if turn.prompt_rest),
            tuple(layout.unlocated),
            tuple(layout.left_out),
            controls,
        )

    def fit(self, text: str, contents: Sequence[str]) -> Layout | None:
        """The layout of `text` if it is exactly these literals around these contents, as they are or trimmed."""
        for turn in self.risky_turns:
            if contents[turn.message].lstrip().startswith(turn.prompt_rest.strip()):
                return None  # the answer may repeat what the prompt says already
        return self._fit(text, contents) or self._fit(text, [content.strip() for content in contents])

    def _fit(self, text: str, contents: Sequence[str]) -> Layout | None:
        pieces = [self.literals[0]]
        for literal, message in zip(self.literals[1:], self.order, strict=True):
            pieces += (contents[message], literal)
        if "".join(pieces) != text:
            return None
        ends = [0, *list(accumulate(map(len, pieces)))[1::2]]
        at = [ends[before] + after for before, after in self.places]
        turns, first = [], 0
        for turn in self.turns:
            start, end, content_start, content_end = at[first : first + 4]
            first += 4
            marker = None
            if turn.end_of_turn is not None:
                marker = (at[first], at[first + 1])
                first += 2
            turns.append(
                Turn(
                    turn.message,
                    start,
                    end,
                    content_start,
                    content_end,
                    marker,
                    None,
                    turn.rewritten,
                    turn.writes_header,
                    turn.prompt_rest,
                )
            )
        borders = zip(at[first::2], at[first + 1 :: 2], strict=True)
        regions = [
            Region(region.message, region.role, start, end)
            for region, (start, end) in zip(self.regions, borders, strict=True)
        ]
        left_out = [
            replace(one, text=contents[one.message].strip())
            for one in self.left_out
            if one.message is not None
        ]
        return Layout(text, turns, regions, unlocated=list(self.unlocated), left_out=left_out)


def _places_of(turn: Turn) -> tuple[int, ...]:
    assert turn.content_start is not None
    assert turn.content_end is not None
    return (turn.start, turn.end, turn.content_start, turn.content_end, *(turn.end_of_turn or ()))
