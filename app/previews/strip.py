"""A shown sample laid out for reading: a row a turn, in it groups, runs of like tokens, and the tokens.

Only the layout is decided here; which tokens are trained comes with the sample. Groups are what a browser may
skip while they are off the screen.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Any, Final

from markupsafe import Markup

from app.previews.compare import Marks

# A group ends after a line break beyond the first size, after a sentence beyond the second, in any case at the
# third; a turn up to the last size is one group.
_COMFORTABLE_GROUP: Final = 160
_LARGE_GROUP: Final = 260
_LARGEST_GROUP: Final = 400
_WHOLE_TURN: Final = 1200
_SENTENCE_ENDS: Final = (".", "!", "?", "。", "！", "？", "；")
_LINE_BREAK: Final = Markup('<i class="line-break"></i>\n')
# What is there and not seen: soft hyphens, spaces without width, letters that turn the direction. Joiners are left
# out, for scripts and emoji are made of them.
_UNSEEN: Final = re.compile("([\n\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff])")
_MARK_NAMES: Final = ("", "here", "there")

Token = Mapping[str, Any]


@dataclass(frozen=True)
class Glyph:
    """What is shown as one: a token, or the tokens that share a character.

    `begun`: the tokens begin inside a character that the run before shows already; it stands there, and `begun` is
    all that they spell.
    """

    ids: str
    text: str
    count: int
    special: bool
    begun: str = ""


@dataclass(frozen=True)
class Run:
    """Tokens in a row that agree in everything but their text."""

    start: int
    role: str
    turn: int | None
    trained: bool
    cut: bool
    mark: str
    glyphs: list[Glyph]


@dataclass
class Group:
    """Some runs of one row; `size` is the number of tokens. `opens_cut`: from here on nothing is kept."""

    runs: list[Run] = field(default_factory=list)
    size: int = 0
    opens_cut: bool = False


@dataclass
class Row:
    """The tokens of one turn with the template's around them. `turn` None: the template's own text.

    The counts are over the turn's kept tokens, the template's left out.
    """

    turn: int | None
    groups: list[Group] = field(default_factory=list)
    trained: int = 0
    kept: int = 0
    cut: int = 0
    repeated: bool = False


def rows_of(shown: Mapping[str, Any], marks: Marks | None = None) -> list[Row]:
    """Rows in the order of the tokens."""
    tokens: list[Token] = [*shown["tokens"], *shown["cut_tokens"]]
    kept = len(shown["tokens"])
    owners = _owners(tokens)
    # How far the tokens before each one reach: what begins earlier is shown already.
    reaches = [0, *accumulate((token["end"] for token in tokens), max)]
    rows = []
    seen: set[int] = set()
    for turn, places in groupby(range(len(tokens)), key=owners.__getitem__):
        row = Row(turn, repeated=turn in seen)
        if turn is not None:
            seen.add(turn)
        _fill(row, [*places], tokens, kept, marks, reaches)
        rows.append(row)
    return rows


def segments(shown: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    """(start, length, "trained" | "skipped" | "cut") of the whole sample, for the overview."""
    found = []
    kept = len(shown["tokens"])
    start = 0
    states = ["trained" if token["trained"] else "skipped" for token in shown["tokens"]]
    for state, places in groupby([*states, *["cut"] * len(shown["cut_tokens"])]):
        length = sum(1 for _ in places)
        found.append((start, length, state))
        start += length
    assert start == kept + len(shown["cut_tokens"])
    return found


def _fill(
    row: Row,
    places: list[int],
    tokens: Sequence[Token],
    kept: int,
    marks: Marks | None,
    reaches: Sequence[int],
) -> None:
    for place in places:
        if tokens[place]["turn"] is not None:
            row.kept += place < kept
            row.trained += place < kept and tokens[place]["trained"]
        row.cut += place >= kept
    for chosen in _groups(places, tokens, kept):
        group = Group(size=len(chosen), opens_cut=chosen[0] == kept)

        def likeness(place: int) -> tuple[Any, ...]:
            token = tokens[place]
            mark = 0 if marks is None else int(marks[place])
            return token["role"], token["turn"], token["trained"], place >= kept, mark

        for (role, turn, trained, cut, mark), run in groupby(chosen, key=likeness):
            same = [*run]
            glyphs = [*_glyphs([tokens[place] for place in same], reaches[same[0]])]
            group.runs.append(Run(same[0], role, turn, trained, cut, _MARK_NAMES[mark], glyphs))
        row.groups.append(group)


def _groups(places: list[int], tokens: Sequence[Token], kept: int) -> Iterator[list[int]]:
    group: list[int] = []
    whole = len(places) <= _WHOLE_TURN
    for at, place in enumerate(places):
        if group and place == kept:
            yield group
            group = []
        group.append(place)
        following = tokens[places[at + 1]] if at + 1 < len(places) else None
        splits = following is not None and following["start"] < tokens[place]["end"]
        if not whole and not splits and _may_end(len(group), tokens[place]["text"]):
            yield group
            group = []
    if group:
        yield group


def _may_end(size: int, text: str) -> bool:
    """Whether a group of this size may end after a token with this text."""
    if size >= _LARGE_GROUP and text.endswith(_SENTENCE_ENDS):
        return True
    return size >= _LARGEST_GROUP or (size >= _COMFORTABLE_GROUP and text.endswith("\n"))


def _glyphs(tokens: Sequence[Token], shown: int) -> Iterator[Glyph]:
    """`shown`: how far the tokens before these reach."""
    together: list[Token] = []
    reach = -1
    for token in tokens:
        if together and token["start"] < reach and token["end"] > token["start"] and not token["special"]:
            together.append(token)
        else:
            if together:
                yield _glyph(together, shown)
                shown = max(shown, reach)
            together = [token]
        reach = max(reach, token["end"])
    if together:
        yield _glyph(together, shown)


def _glyph(tokens: list[Token], shown: int) -> Glyph:
    first = tokens[0]
    text, reach = first["text"], first["end"]
    ids = str(first["id"])
    for token in tokens[1:]:
        ids += f" {token['id']}"
        if token["end"] > reach:
            text += token["text"][reach - token["start"] :]
            reach = token["end"]
    overlap = shown - first["start"]
    begun, text = (text, text[overlap:]) if overlap > 0 and first["end"] > first["start"] else ("", text)
    return Glyph(ids, _with_marks(text), len(tokens), first["special"], begun)


def _with_marks(text: str) -> str:
    """The text, and before each character that is not seen a mark that is."""
    if not _UNSEEN.search(text):
        return text
    return Markup().join(_mark(part) if _UNSEEN.fullmatch(part) else part for part in _UNSEEN.split(text))


def _mark(character: str) -> Markup:
    if character == "\n":
        return _LINE_BREAK
    return Markup('<i class="unseen" data-code="{:04X}"></i>{}').format(ord(character), character)


# -- which row the template's tokens stand in; for the eye only ----------------------------------------------


def _owners(tokens: Sequence[Token]) -> list[int | None]:
    """For every token the turn of its row: its own, or the turn that its header or separator belongs to."""
    owners: list[int | None] = [token["turn"] for token in tokens]
    before: int | None = None
    place = 0
    for own, gap in groupby(owners.copy(), key=lambda turn: turn is None):
        length = sum(1 for _ in gap)
        stop = place + length
        if own:
            after = owners[stop] if stop < len(owners) else None
            _share_out(owners, tokens, place, stop, before, after)
        else:
            before = owners[stop - 1]
        place = stop
    return owners


def _share_out(
    owners: list[int | None],
    tokens: Sequence[Token],
    start: int,
    stop: int,
    before: int | None,
    after: int | None,
) -> None:
    header = stop if after is None else _header_start(tokens, start, stop)
    if before is None and not any(_says_something(token) for token in tokens[start:header]):
        header = start
    for place in range(start, stop):
        owners[place] = after if place >= header else before


def _header_start(tokens: Sequence[Token], start: int, stop: int) -> int:
    """Where the next turn's header begins in a gap: at its last control token, or at the pair around a role."""
    last = next((place for place in range(stop - 1, start - 1, -1) if tokens[place]["special"]), None)
    if last is None:
        first_word = (place for place in range(start, stop) if _says_something(tokens[place]))
        return next(first_word, stop)
    earlier = next((place for place in range(last - 1, start - 1, -1) if tokens[place]["special"]), None)
    if earlier is None or earlier == last - 1:
        return last
    between = "".join(token["text"] for token in tokens[earlier + 1 : last])
    return last if "\n" in between or len(between) > 40 else earlier


def _says_something(token: Token) -> bool:
    return not token["special"] and bool(token["text"].strip())
