"""Renderings of one conversation with marks planted in pieces of what its messages hold."""

import re
from collections.abc import Iterator, Sequence

from app.masking.errors import TemplateFailed
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.comparison import common_prefix
from app.masking.turns.marks import free_code_points, texts_in
from app.masking.turns.planting import Piece, Spot, planted
from app.masking.turns.renderings import Renderings
from app.unlocked import cached_property

# By piece the places, in the rendering without marks, where its mark stands. Pieces that share a mark share the list.
Places = dict[Piece, list[int]]


Marks = dict[Spot, str]


class Plantings:
    """Beside the renderings of the conversation, which tell what has to be left once the marks are taken out."""

    def __init__(self, renderings: Renderings) -> None:
        self._renderings = renderings
        self._messages, self._tools = renderings.messages, renderings.tools

    def together(self, pieces: Sequence[Piece]) -> Places | None:
        """All of them planted at once; None where that disturbs the template.

        As in: templates that look up the call's tool by its name, so that both need the same mark, and those that
        write whatever is not ASCII as escapes.
        """
        for letters in (False, True):
            for shared in (False, True):
                found = self._try(pieces, letters=letters, shared=shared)
                if found is not None:
                    return found
        return None

    def where_it_parts(self, piece: Piece) -> list[int] | None:
        """Where the rendering with a mark in this piece parts from the one without, [] where it does not; None where
        the template does not render it or writes something else altogether.

        As in: templates that compare a value with words of their own, or write it in capitals.
        """
        (mark,) = self._marks([piece], letters=True, shared=False)
        rendered = self._render(_by_spot([piece], [mark]))
        if rendered is None:
            return None
        plain = self._renderings.text
        if rendered == plain:
            return []
        return [common_prefix(plain, rendered)] if mark.casefold() in rendered.casefold() else None

    def shows(
        self, pieces: Sequence[Piece], *, count: int | None = None, without_arguments: bool = False
    ) -> bool:
        """Whether all of them are written where the conversation stops after `count` messages, which are fewer, or
        where the template is given no arguments.
        """
        marked = [piece for piece in pieces if piece.spots]
        if not marked or (count is not None and count >= len(self._messages)):
            return False
        tokenizer = self._renderings.tokenizer
        if without_arguments:
            tokenizer = tokenizer.rendering_with({}, moment=tokenizer.moment)
        for letters in (False, True):
            marks = self._marks(marked, letters=letters, shared=False)
            rendered = self._render(_by_spot(marked, marks), tokenizer, count)
            if rendered is not None and all(mark in rendered for mark in marks):
                return True
        return False

    def _try(self, pieces: Sequence[Piece], *, letters: bool, shared: bool) -> Places | None:
        marks = self._marks(pieces, letters=letters, shared=shared)
        rendered = self._render(_by_spot(pieces, marks))
        if rendered is None:
            return None
        pattern = f"{self._frame}[0-9]+{self._frame}" if letters else f"[{min(marks)}-{max(marks)}]"
        text, places = _without(rendered, re.compile(pattern))
        if text != self._renderings.text:
            return None
        return {piece: places.setdefault(mark, []) for piece, mark in zip(pieces, marks, strict=True)}

    def _marks(self, pieces: Sequence[Piece], *, letters: bool, shared: bool) -> list[str]:
        """A mark for each piece, the same for those with the same text where they are `shared`."""
        known: dict[object, str] = {}
        for piece in pieces:
            key = piece.text if shared else piece
            if key not in known:
                number = len(known)
                known[key] = f"{self._frame}{number}{self._frame}" if letters else next(self._free)
        return [known[piece.text if shared else piece] for piece in pieces]

    @cached_property
    def _free(self) -> Iterator[str]:
        source = self._renderings.tokenizer.template.source
        return free_code_points(self._messages, source, self._tools)

    @cached_property
    def _frame(self) -> str:
        """Letters that occur nowhere, for what stands around the number of a mark."""
        texts = [self._renderings.text, *texts_in([list(self._messages), list(self._tools or ())])]
        frames = (f"{first}q{last}" for first in "QXZVJ" for last in "zxvjk")
        return next(one for one in frames if not any(one in text for text in texts))

    def _render(
        self, marks: Marks, tokenizer: ChatTokenizer | None = None, count: int | None = None
    ) -> str | None:
        in_tools = {spot: mark for spot, mark in marks.items() if spot.in_tools}
        in_messages = {spot: mark for spot, mark in marks.items() if not spot.in_tools}
        tools = planted(self._tools, in_tools) if self._tools and in_tools else self._tools
        try:
            return (tokenizer or self._renderings.tokenizer).render(
                planted(self._messages, in_messages)[:count], tools=tools
            )
        except TemplateFailed:
            return None


def _by_spot(pieces: Sequence[Piece], marks: Sequence[str]) -> Marks:
    return {spot: mark for piece, mark in zip(pieces, marks, strict=True) for spot in piece.spots}


def _without(marked: str, pattern: re.Pattern[str]) -> tuple[str, dict[str, list[int]]]:
    """The text without the marks, and for each mark the places in it where it stood."""
    kept: list[str] = []
    places: dict[str, list[int]] = {}
    at = length = 0
    for match in pattern.finditer(marked):
        kept.append(marked[at : match.start()])
        length += match.start() - at
        places.setdefault(match.group(), []).append(length)
        at = match.end()
    return "".join([*kept, marked[at:]]), places
