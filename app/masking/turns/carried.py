"""What of the messages, and of the tools, the rendering carries where it belongs, and what the template leaves out.

The text of a message that stands in the rendering as it is needs no mark. Every other piece is planted with a mark,
all at once; where that disturbs the template, fewer at once, down to one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from app.dialogue.roles import Role
from app.masking.turns.layout import HeldField, LeftOut, Region, Turn
from app.masking.turns.planting import Piece, pieces_of, words_of
from app.masking.turns.plantings import Places, Plantings
from app.masking.turns.renderings import Renderings

_LONGEST_SHOWN = 300


class Carried:
    """For one located conversation."""

    def __init__(self, renderings: Renderings, turns: Sequence[Turn], regions: Sequence[Region]) -> None:
        self._renderings = renderings
        self._messages, self._tools = renderings.messages, renderings.tools
        self._text = renderings.text
        self._turns = {turn.message: turn for turn in turns}
        self._regions: dict[int, list[Region]] = {}
        for region in regions:
            self._regions.setdefault(region.message, []).append(region)
        self._blocks = sorted(
            [(turn.start, turn.end, turn.message) for turn in turns]
            + [(region.start, region.end, region.message) for region in regions]
        )
        self._plantings = Plantings(renderings)

    def left_out(self) -> list[LeftOut]:
        """In the order of the messages, the tools last."""
        pieces = pieces_of(self._messages, self._tools)
        missing = self._missing(pieces) if pieces else []
        for place in range(len(self._messages)):
            if not self._shows_text(place):
                missing += self._words_missing(place)
        return self._told(missing) if missing else []

    # -- words --------------------------------------------------------------------------------------------------

    def _content(self, place: int) -> str:
        content = self._messages[place].get("content")
        return content.strip() if isinstance(content, str) else ""

    def _shows_text(self, place: int) -> bool:
        """Whether the text of this message stands where it belongs, as it is."""
        content, turn = self._content(place), self._turns.get(place)
        if not content:
            return True
        if turn is not None:
            if turn.content_start is not None and turn.content_end is not None:
                shown = self._text[turn.content_start : turn.content_end]
                if shown.strip() == content:
                    return True
            beside = {name: value for name, value in self._messages[place].items() if name != "content"}
            return _is_more_than(content, self._text[turn.start : turn.end], beside)
        regions = self._regions.get(place, ())
        if regions:
            return any(content in self._text[region.start : region.end] for region in regions)
        # an answer without provable borders, a text that is mixed with others: anywhere
        others = [message for at, message in enumerate(self._messages) if at != place]
        return _is_more_than(content, self._text, [*others, self._tools])

    def _words_missing(self, place: int) -> list[Piece]:
        message = self._messages[place]
        pieces = words_of(place, message["content"], thinks=message["role"] == Role.ASSISTANT)
        if not pieces:
            return []  # markers of thinking, and no word
        found = self._plantings.together(pieces)
        if found is not None:
            return self._not_in_place(pieces, found)
        # the marks disturb the template: as far as the words themselves tell
        start, end = self._span(place)
        shown = self._text[start:end].casefold()
        return [piece for piece in pieces if piece.text.strip().casefold() not in shown]

    # -- everything else ----------------------------------------------------------------------------------------

    def _missing(self, pieces: Sequence[Piece]) -> list[Piece]:
        marked = [piece for piece in pieces if piece.spots]
        found = self._found(marked) if marked else {}
        missing = set(self._not_in_place(marked, found))
        known = sorted(place for places in found.values() for place in places)
        before: Piece | None = None
        for unmarked, run in groupby(pieces, lambda piece: not piece.spots):
            if unmarked:
                missing.update(self._not_behind(before, list(run), found, missing, known))
            else:
                *_, before = run
        return [piece for piece in pieces if piece in missing]

    def _found(self, pieces: Sequence[Piece]) -> Places:
        """Where each stands; those that are planted together disturb nothing."""
        together = self._plantings.together(pieces)
        if together is not None:
            return together
        if len(pieces) == 1:
            return {pieces[0]: self._alone(pieces[0])}
        half = len(pieces) // 2
        return self._found(pieces[:half]) | self._found(pieces[half:])

    def _alone(self, piece: Piece) -> list[int]:
        """Where a piece stands that disturbs the template when it is marked: where the rendering with a mark parts from
        the one without, else where the text of the piece is found.
        """
        told = self._plantings.where_it_parts(piece)
        if told is not None:
            return told
        return [match.start() for match in re.finditer(re.escape(piece.text.strip()), self._text)]

    def _not_behind(
        self,
        before: Piece | None,
        numbers: list[Piece],
        found: Places,
        missing: set[Piece],
        known: Sequence[int],
    ) -> list[Piece]:
        """Which of these numbers do not stand behind the piece before them, in their order and before the next mark.
        Where that piece is missing they are as well.
        """
        first = numbers[0]
        if (
            before is None
            or before in missing
            or (before.message, before.number) != (first.message, first.number)
        ):
            return numbers
        fewest = numbers
        for place in found[before]:
            if self._belongs(before, place):
                stop = next((other for other in known if other > place), len(self._text))
                # not in the rest of a key, as in `floor2`
                rest = len(before.text.strip()) // 2 if before.spots[0].is_key else 0
                lost = _not_in_order(numbers, self._text[min(place + rest, stop) : stop].casefold())
                fewest = min(fewest, lost, key=len)
        return fewest

    # -- where things belong ------------------------------------------------------------------------------------

    def _not_in_place(self, pieces: Sequence[Piece], found: Places) -> list[Piece]:
        """Those that do not stand where they belong, as often as they are held there."""
        wanted: Counter[tuple[int, int | None]] = Counter()
        missing = []
        for piece in pieces:
            mark = (id(found[piece]), piece.message)
            wanted[mark] += 1
            if sum(self._belongs(piece, place) for place in found[piece]) < wanted[mark]:
                missing.append(piece)
        return missing

    def _belongs(self, piece: Piece, place: int) -> bool:
        if piece.message is None:
            return not any(turn.start < place < turn.end for turn in self._turns.values())
        start, end = self._span(piece.message, with_header=piece.field is HeldField.NAME)
        return start <= place <= end

    def _span(self, message: int, *, with_header: bool = False) -> tuple[int, int]:
        """Where what this message holds belongs; the name may stand before the turn, in its header."""
        own = [(start, end) for start, end, one in self._blocks if one == message]
        if not own:
            before = [end for _, end, one in self._blocks if one < message]
            after = [start for start, _, one in self._blocks if one > message]
            return max(before, default=0), min(after, default=len(self._text))
        start, end = min(own)[0], max(end for _, end in own)
        if with_header:
            start = max(
                (stop for _, stop, one in self._blocks if stop <= start and one != message), default=0
            )
        return start, end

    # -- telling ------------------------------------------------------------------------------------------------

    def _told(self, missing: Sequence[Piece]) -> list[LeftOut]:
        def order(piece: Piece) -> tuple[bool, int, int, int]:
            fields = list(HeldField)
            kind = HeldField.CALL if piece.field is HeldField.ARGUMENT else piece.field
            return piece.message is None, piece.message or 0, fields.index(kind), piece.number

        told = []
        for _, together in groupby(sorted(missing, key=order), order):
            pieces = list(together)
            message = pieces[0].message
            told.append(
                LeftOut(
                    message,
                    pieces[0].field,
                    _named(pieces),
                    shown_last=message is not None and self._plantings.shows(pieces, count=message + 1),
                    by_arguments=bool(self._renderings.tokenizer.arguments)
                    and self._plantings.shows(pieces, without_arguments=True),
                )
            )
        return told


def _is_more_than(content: str, text: str, others: Any) -> bool:
    """Whether the text holds this content oftener than the others do, which may have put it there as well. Where it does
    not, only marks tell."""
    found = text.count(content)
    return found > 0 and found > sum(said.count(content) for said in _strings(others))


def _strings(value: Any) -> Iterator[str]:
    """Every text of a JSON value, its keys and numbers too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _strings(inner)
    elif value is not None:
        yield str(value)


def _not_in_order(numbers: Sequence[Piece], text: str) -> list[Piece]:
    lost, at = [], 0
    for piece in numbers:
        found = text.find(piece.text.casefold(), at)
        if found < 0:
            lost.append(piece)
        else:
            at = found + len(piece.text)
    return lost


def _named(pieces: Sequence[Piece]) -> str:
    """In a line, as a person finds it again."""
    owner = pieces[0].owner
    if owner:
        inner = dict.fromkeys(piece.label for piece in pieces if piece.label != owner)
        text = f"{owner}({', '.join(inner)})" if inner else owner
    else:
        text = "".join(piece.text for piece in pieces).strip()
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
