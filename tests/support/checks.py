"""A check from its definition, as a suite would hold it."""

from typing import Any

from pydantic import TypeAdapter

from app.scoring.definitions import Check


def check_of(definition: dict[str, Any]) -> Check:
    check: Check = TypeAdapter(Check).validate_python(definition)
    return check
