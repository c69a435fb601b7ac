"""Four roles, and the names under which they are understood."""

import pytest

from app.dialogue.roles import FUNCTION_CALL, ROLES, Role, get_role


def test_there_are_four_roles() -> None:
    assert ROLES == ("system", "user", "assistant", "tool")
    assert all(get_role(role.value) == role for role in Role)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Human", "user"),
        (" gpt ", "assistant"),
        ("客服", "assistant"),
        ("tool_call", FUNCTION_CALL),
        ("elf", None),
    ],
)
def test_other_names_are_understood_in_any_case(name: str, role: str | None) -> None:
    assert get_role(name) == role
