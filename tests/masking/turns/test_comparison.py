"""Pieces of text are compared without cutting what looks like a control token."""

import re

from hypothesis import given
from hypothesis import strategies as st

from app.masking.turns.comparison import Comparison

COMPARISON = Comparison(re.compile(r"<\|end\|>"))
texts = st.lists(
    st.sampled_from(["<|end|>", "<|eot|>", "[/INST]", "<", "|>", "a", "\n", " "]), max_size=6
).map("".join)


def test_a_marker_is_shared_whole_or_not_at_all() -> None:
    assert COMPARISON.shared("ab<|end|>", "ab<|end|>c") == len("ab<|end|>")
    assert COMPARISON.shared("ab<|end|>", "ab<|eot|>") == len("ab")  # both begin with <|e
    assert COMPARISON.shared("ab[/INST]", "ab[/I") == len("ab")
    assert COMPARISON.shared("abc", "abd") == 2


def test_the_common_end_cuts_no_marker_of_the_left_text() -> None:
    assert COMPARISON.shared_end("x<|end|>", "y<|end|>") == len("<|end|>")
    assert COMPARISON.shared_end("<|eot|>", "|>") == 0


def test_the_same_marker_is_found_behind_white_space() -> None:
    assert COMPARISON.same_marker("\n <|end|>x", "<|end|>") == (9, 7)
    assert COMPARISON.same_marker("<|end|>", "<|eot|>") is None
    assert COMPARISON.same_marker("a<|end|>", "<|end|>") is None


@given(texts, texts)
def test_what_is_shared_is_common_and_the_order_does_not_matter(left: str, right: str) -> None:
    shared = COMPARISON.shared(left, right)
    assert left[:shared] == right[:shared]
    assert shared == COMPARISON.shared(right, left)
    for text in (left, right):
        assert not any(match.start() < shared < match.end() for match in COMPARISON.markers.finditer(text))
