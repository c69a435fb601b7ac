"""Word differences: nothing is lost, what is not marked is common, Chinese goes by the character."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.dialogue.differences import Pieces, differences, merged

TEXTS = st.text(alphabet=st.sampled_from("ab c, .\n\t中文，字\u3000é1_-😀"), max_size=60) | st.text(
    max_size=40
)


def common(pieces: Pieces) -> str:
    return re.sub(r"\s", "", "".join(text for text, marked in pieces if not marked))


@given(TEXTS, TEXTS)
@example("abc中文 a", "abc中国 a")
def test_pieces_are_the_text_and_what_is_not_marked_is_said_by_both(before: str, after: str) -> None:
    old, new = differences(before, after)
    assert "".join(text for text, _ in old) == before
    assert "".join(text for text, _ in new) == after
    assert common(old) == common(new)
    if before == after:
        assert not any(marked for _, marked in [*old, *new])
    one = merged(before, after)
    assert "".join(text for text, mark in one if mark != "removed") == after
    gone = [text.strip(" \t") for text, mark in one if mark == "removed"]
    assert gone == [text.strip(" \t") for text, marked in old if marked]


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        ("The price is 20 dollars.", "The price is 30 dollars.", ["20 "], ["30 "]),
        ("您好，价格是20元", "您好，价钱是30元", ["格", "20"], ["钱", "30"]),
        ("We can help. We can help.", "We can help.", [" We can help."], []),
    ],
)
def test_only_the_words_that_differ_are_marked(
    before: str, after: str, removed: list[str], added: list[str]
) -> None:
    old, new = differences(before, after)
    assert [text for text, marked in old if marked] == removed
    assert [text for text, marked in new if marked] == added


def test_two_books_differ_as_a_whole_between_their_common_ends() -> None:
    old, new = "a " * 3000 + "same end", "b " * 3000 + "same end"
    assert merged(old, new) == [("a " * 3000, "removed"), ("b " * 3000, "added"), ("same end", "")]
