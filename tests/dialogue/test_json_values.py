"""What of JSON can be kept on both databases and written by every export."""

import json
from typing import Any

import pytest

from app.dialogue.json_values import canonical_json, fault_in, is_storable
from app.dialogue.limits import DEPTH, NUMBER_DIGITS


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a": [1, 2.5, True, None, "价格"]}, None),
        ({"a": float("nan")}, "number"),
        ([float("inf")], "number"),
        ([10**NUMBER_DIGITS * 10], "number"),
        ([10 ** (NUMBER_DIGITS - 1)], None),
        ({"a\x00": 1}, "text"),
        (["\ud800"], "text"),
        (nested(DEPTH), None),
        (nested(DEPTH + 1), "too_deep"),
        (nested(100_000), "too_deep"),
    ],
)
def test_the_fault_is_told_without_falling_over_it(value: Any, fault: str | None) -> None:
    assert fault_in(value) == fault


def test_the_depth_counts_from_where_the_value_stands() -> None:
    assert fault_in(nested(DEPTH - 6), level=7) is None
    assert fault_in(nested(DEPTH - 5), level=7) == "too_deep"


def test_text_with_nul_or_half_a_character_is_not_storable() -> None:
    assert is_storable("价格 😀\n")
    assert not is_storable("a\x00b")
    assert not is_storable("\udc00")


def test_json_is_compact_in_its_order_and_never_nan() -> None:
    assert canonical_json({"b": "é", "a": [1, None]}) == '{"b":"é","a":[1,null]}'
    assert json.loads(canonical_json({"x": 1.5})) == {"x": 1.5}
    with pytest.raises(ValueError):
        canonical_json(float("nan"))
