"""Config values as people type them, read back as the numbers they are."""

import pytest

from app.recipes.fields import display


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (1e-4, "1e-4"),
        (5e-5, "5e-5"),
        (1.5e-4, "1.5e-4"),
        (0.0001 * 3, "3e-4"),
        (1e-8, "1e-8"),
        (1e-3, "0.001"),
        (0.05, "0.05"),
        (3.0, "3"),
        (0.0, "0"),
        (True, "true"),
        (["q_proj", "v_proj"], "q_proj,v_proj"),
        (None, ""),
    ],
)
def test_values_are_written_as_people_compare_them(value: object, typed: str) -> None:
    assert display(value) == typed
    if isinstance(value, float):
        assert float(typed) == pytest.approx(value, rel=1e-14)
