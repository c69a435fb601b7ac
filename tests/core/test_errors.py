"""Errors carry a sentence, a status and what else a client may need."""

from http import HTTPStatus

import pytest

from app.core.errors import (
    Conflict,
    Invalid,
    NotFound,
    Refused,
    StudioError,
    TooMany,
    Unauthenticated,
    Unavailable,
)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (NotFound, HTTPStatus.NOT_FOUND),
        (Conflict, HTTPStatus.CONFLICT),
        (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
        (Unauthenticated, HTTPStatus.UNAUTHORIZED),
        (Refused, HTTPStatus.FORBIDDEN),
        (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
        (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    ],
)
def test_each_kind_has_its_status(kind: type[StudioError], status: HTTPStatus) -> None:
    assert kind("x").status == status


def test_a_sentence_may_name_its_field_and_values() -> None:
    error = Invalid("%(field)s must be below %(limit)d.", field="rank", limit=9)
    assert (error.translated(), error.field) == ("rank must be below 9.", "rank")


def test_a_code_of_its_own_wins_over_the_kinds() -> None:
    assert Invalid("x", code="too_wide").code == "too_wide"
    assert NotFound("x").code == NotFound.default_code
    assert TooMany("x", retry_after=7).retry_after == 7
