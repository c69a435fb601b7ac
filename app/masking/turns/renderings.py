"""Renderings of one conversation and of its beginnings, plain and with marks, each rendered once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.masking.errors import MaskRefused, TemplateFailed
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.marks import (
    Marking,
    Marks,
    Placement,
    first_marking,
    mark_message,
    markings_of,
    spelled_in,
)
from app.sentences import N_

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

    def first(self, mark: str) -> int | None:
        """Where the mark stands first."""
        return next(iter(self.places.get(mark, ())), None)


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
        self._first_markings = [first_marking(message) for message in messages]
        self.markings = list(self._first_markings)
        self.whole = self._place_marks()

    def refusal(self, message: str, place: int) -> MaskRefused:
        """The refusal of one turn; the sentence names `template` and `turn`."""
        return MaskRefused(message, template=self.tokenizer.name, turn=place + 1)

    def plain(self, count: int, generation: bool) -> str:
        key = (count, generation)
        if key not in self.plain_renderings:
            self.plain_renderings[key] = self.tokenizer.render(
                self.messages[:count], add_generation_prompt=generation, tools=self.tools
            )
        return self.plain_renderings[key]

    def marked(self, count: int, generation: bool) -> Marked | None:
        """The first `count` messages with marks;
        None when the template refuses them or the marks disturb them.
        """
        key = (count, generation)
        if key not in self.marked_renderings:
            tried = (self._render_or_none(count, generation, markings) for markings in self._variants(count))
            self.marked_renderings[key] = next((found for found in tried if found is not None), None)
        return self.marked_renderings[key]

    def _variants(self, count: int) -> Iterator[list[Marking]]:
        """A beginning may be trimmed otherwise than the whole,
        where the template treats the last turn differently.
        """
        kept, first = self.markings[:count], self._first_markings[:count]
        first = [
            one
            if (one.calls, one.left_whole, one.reasoning) == (found.calls, found.left_whole, found.reasoning)
            else replace(one, calls=found.calls, left_whole=found.left_whole, reasoning=found.reasoning)
            for one, found in zip(first, kept, strict=True)
        ]
        yield first
        yield [
            replace(one, placement=Placement.END_OUTSIDE) if one.placement is Placement.OUTSIDE else one
            for one in first
        ]
        yield kept
        # a beginning only tells where things lie, so the control tokens in it may stay whole
        yield [
            replace(
                one if str(message.get("content") or "").strip() else replace(one, placement=Placement.NONE),
                left_whole=spelled_in(message, self.tokenizer.controls),
            )
            for message, one in zip(self.messages[:count], first, strict=True)
        ]

    def _render_marked(self, count: int, generation: bool, markings: Sequence[Marking]) -> Marked | None:
        marked = [
            mark_message(message, marks, marking, self.marks.breaker, self.tokenizer.controls)
            for message, marks, marking in zip(
                self.messages[:count], self.marks.messages[:count], markings[:count], strict=True
            )
        ]
        rendered = self.tokenizer.render(marked, add_generation_prompt=generation, tools=self.tools)
        text, places = self.marks.strip(rendered)
        return Marked(text, places) if text == self.plain(count, generation) else None

    def _place_marks(self) -> Marked:
        """Marks at the borders of every text; where that disturbs the template,
        another marking of that message.
        """
        whole = self._try_markings(self.markings)
        if whole is None:
            controls = self.tokenizer.controls
            nothing = [
                Marking(Placement.NONE, False, spelled_in(message, controls), reasoning=False)
                for message in self.messages
            ]
            for place in range(len(self.messages)):
                self.markings[place] = self._undisturbing(place, nothing)
            whole = self._try_markings(self.markings)
        if whole is None:
            raise MaskRefused(
                N_(
                    "The chat template %(template)s mixes the texts of several turns, so no borders can "
                    "be proven; leave this conversation out."
                ),
                template=self.tokenizer.name,
            )
        return whole

    def _undisturbing(self, place: int, nothing: Sequence[Marking]) -> Marking:
        """The first marking of this message alone that changes nothing. Raises MaskRefused."""

        def works(marking: Marking) -> bool:
            alone = [*nothing[:place], marking, *nothing[place + 1 :]]
            return self._try_markings(alone) is not None

        for read in self._tokens_read(nothing[place].left_whole, works):
            for marking in markings_of(self.messages[place], read):
                if works(marking):
                    return marking
        raise MaskRefused(
            N_(
                "The chat template %(template)s renders turn %(turn)d differently when its text is marked, "
                "so its borders cannot be proven; leave this conversation out."
            ),
            template=self.tokenizer.name,
            turn=place + 1,
        )

    @staticmethod
    def _tokens_read(spelled: frozenset[str], works: Callable[[Marking], bool]) -> Iterator[frozenset[str]]:
        """Which of the control tokens that a message spells the template may be looking for:
        none, each of some, or any of some.
        """

        def with_whole(tokens: frozenset[str]) -> bool:
            return works(Marking(Placement.NONE, calls=False, left_whole=tokens, reasoning=False))

        yield frozenset()
        if with_whole(frozenset()) or not spelled:
            return
        each = frozenset(token for token in spelled if not with_whole(spelled - {token}))
        if each:
            yield each
        if some := frozenset(token for token in spelled if with_whole(each | {token})):
            yield each | some

    def _try_markings(self, markings: Sequence[Marking]) -> Marked | None:
        return self._render_or_none(len(self.messages), False, markings)

    def _render_or_none(self, count: int, generation: bool, markings: Sequence[Marking]) -> Marked | None:
        try:
            return self._render_marked(count, generation, markings)
        except TemplateFailed:
            return None
