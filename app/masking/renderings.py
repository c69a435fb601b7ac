"""Renderings of one conversation and of its beginnings, plain and with marks, each rendered once."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.masking.errors import N_, MaskRefused, TemplateFailed
from app.masking.sentinels import Marks, Placement, first_placement, mark_message
from app.masking.tokenizer import ChatTokenizer

Message = Mapping[str, Any]


class Marked:
    """One marked rendering, already compared with the plain one."""

    def __init__(self, text: str, places: dict[str, list[int]]) -> None:
        self.text = text
        self.places = places

    def at(self, mark: str) -> int | None:
        """Where the mark stands, if it stands exactly once."""
        found = self.places.get(mark, ())
        return found[0] if len(found) == 1 else None


class Renderings:
    """Raises MaskRefused when no marks can be set without disturbing the template."""

    def __init__(
        self, tokenizer: ChatTokenizer, messages: Sequence[Message], tools: Sequence[Any] | None
    ) -> None:
        self.tokenizer = tokenizer
        self.messages = messages
        self.tools = tools
        self.plain_renderings: dict[tuple[int, bool], str] = {}
        self.marked_renderings: dict[tuple[int, bool], Marked | None] = {}
        self.text = self.plain(len(messages), False)
        self.marks = Marks(messages, tokenizer.template.source, tools)
        self.placements = [first_placement(message) for message in messages]
        self.whole = self._place_marks()

    def plain(self, count: int, generation: bool) -> str:
        key = (count, generation)
        if key not in self.plain_renderings:
            self.plain_renderings[key] = self.tokenizer.render(
                self.messages[:count], add_generation_prompt=generation, tools=self.tools
            )
        return self.plain_renderings[key]

    def marked(self, count: int, generation: bool) -> Marked | None:
        """The first `count` messages with marks; None when the template refuses them or the marks disturb
        them.
        """
        key = (count, generation)
        if key not in self.marked_renderings:
            tried = (
                self._render_or_none(count, generation, placements) for placements in self._variants(count)
            )
            self.marked_renderings[key] = next((found for found in tried if found is not None), None)
        return self.marked_renderings[key]

    def _variants(self, count: int) -> list[list[Placement]]:
        """A beginning may be trimmed otherwise than the whole, where the template treats the last turn
        differently.
        """
        first: list[Placement] = [first_placement(message) for message in self.messages[:count]]
        end_outside: list[Placement] = [
            Placement.END_OUTSIDE if one is Placement.OUTSIDE else one for one in first
        ]
        found: list[list[Placement]] = []
        for placements in (first, end_outside, self.placements[:count]):
            if placements not in found:
                found.append(placements)
        return found

    def _render_marked(self, count: int, generation: bool, placements: Sequence[Placement]) -> Marked | None:
        marked = [
            mark_message(message, marks, placement, self.marks.breaker, self.tokenizer.controls)
            for message, marks, placement in zip(
                self.messages[:count], self.marks.messages[:count], placements[:count], strict=True
            )
        ]
        rendered = self.tokenizer.render(marked, add_generation_prompt=generation, tools=self.tools)
        text, places = self.marks.strip(rendered)
        return Marked(text, places) if text == self.plain(count, generation) else None

    def _place_marks(self) -> Marked:
        """Marks at the borders of every text; where that disturbs the template, the next placement for
        that message.
        """
        count = len(self.messages)
        whole = self._try_placements(self.placements)
        if whole is None:
            nowhere = [Placement.NONE] * count
            for place in range(count):
                for placement in Placement:
                    alone = [*nowhere[:place], placement, *nowhere[place + 1 :]]
                    if self._try_placements(alone) is not None:
                        self.placements[place] = placement
                        break
                else:
                    raise MaskRefused(
                        N_(
                            "The chat template %(template)s renders turn %(turn)d differently when its "
                            "text is marked, "
                            "so its borders cannot be proven."
                        ),
                        template=self.tokenizer.name,
                        turn=place + 1,
                    )
            whole = self._try_placements(self.placements)
        if whole is None:
            raise MaskRefused(
                N_(
                    "The chat template %(template)s mixes the texts of several turns, so no borders can "
                    "be proven."
                ),
                template=self.tokenizer.name,
            )
        return whole

    def _try_placements(self, placements: Sequence[Placement]) -> Marked | None:
        return self._render_or_none(len(self.messages), False, placements)

    def _render_or_none(self, count: int, generation: bool, placements: Sequence[Placement]) -> Marked | None:
        try:
            return self._render_marked(count, generation, placements)
        except TemplateFailed:
            return None
