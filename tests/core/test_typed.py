"""Numbers as people type them, and what only looks like one."""

import pytest

from app.core.typed import typed_number, typed_whole


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("0,5", 0.5), (" 12 ", 12), (".5", 0.5), ("5.", 5), ("-1", -1), ("+2e-3", 0.002)],
)
def test_a_number_has_a_point_or_a_comma(text: str, number: float) -> None:
    assert typed_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-Infinity", "1e999", "1_0", "1,000.5", "١٢", "0x10", "1 2", "-", ".", "e5"]
)
def test_what_is_no_finite_number_is_none(text: str) -> None:
    assert typed_number(text) is None


def test_a_whole_number_is_of_ascii_digits_and_not_too_long() -> None:
    assert [typed_whole(text) for text in (" 12 ", "007", "0")] == [12, 7, 0]
    assert [typed_whole(text) for text in ("", "-1", "1.0", "1_0", "١٢", "²", "1" * 10)] == [None] * 7
    assert typed_whole("1" * 17, digits=17) == int("1" * 17)
