"""A part of an answer is cut out of pieces that are made one after the other, and no further than it reaches."""

from collections.abc import Iterator

from app.core.ranges import cut


def test_a_part_is_what_lies_between_its_borders_wherever_the_pieces_end() -> None:
    whole = bytes(range(20))
    pieces = [whole[:3], b"", whole[3:10], whole[10:]]
    for start in range(20):
        for stop in range(start + 1, 21):
            assert b"".join(cut(pieces, start, stop)) == whole[start:stop]


def test_what_comes_behind_a_part_is_not_made() -> None:
    def made() -> Iterator[bytes]:
        yield b"abc"
        yield b"def"
        raise AssertionError("nobody wanted more")

    assert b"".join(cut(made(), 1, 6)) == b"bcdef"
