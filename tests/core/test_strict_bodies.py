"""JSON by REST is as strict as JSON by file."""

import pytest

from tests.support.people import Person, problem_of

JSON_TYPE = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"name": "a", "name": "b"}', "duplicate_key"),
        ('{"name": "a", "description": NaN}', "not_a_number"),
        ('{"name": "a", "description": -Infinity}', "not_a_number"),
        ('{"name": "a", "description": 1e999}', "number_too_large"),
    ],
)
def test_json_by_rest_is_as_strict_as_by_file(annotator: Person, body: str, code: str) -> None:
    told = annotator.api.post("/api/v1/datasets", content=body, headers=JSON_TYPE)
    assert (told.status_code, told.json()["code"]) == (422, code)
    assert "Line 1" in problem_of(told)
    assert len(annotator.api.get("/api/v1/datasets").json()) == 0


def test_what_is_no_json_is_not_read_as_such(annotator: Person) -> None:
    plain = annotator.api.post(
        "/api/v1/datasets", content='{"name": "a"}', headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 422
