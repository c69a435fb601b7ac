"""JSON by REST is as strict as JSON by file."""

import pytest
from fastapi import FastAPI, params

from app.core.strict_bodies import FIELDS, StrictRoute
from tests.support.people import Person, problem_of
from tests.support.routes import all_routes

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


def test_every_route_with_a_json_body_reads_it_strictly_and_off_the_event_loop(app: FastAPI) -> None:
    taking = [
        route
        for _, route in all_routes(app)
        if route.body_field and not isinstance(route.body_field.field_info, params.Form)
    ]
    assert len(taking) > 15
    assert [route.path for route in taking if not isinstance(route, StrictRoute)] == []


def test_a_body_of_countless_unknown_fields_is_refused_before_each_of_them_is_told(annotator: Person) -> None:
    few = {"name": "a", **{f"k{number}": 1 for number in range(FIELDS - 1)}}
    told = annotator.api.post("/api/v1/datasets", json=few)
    assert told.status_code == 422
    assert len(told.json()["errors"]) == 50
    nested = {"base_model_id": 1, "messages": [], "settings": few | {"one": "more"}}
    for path, body in (("/api/v1/datasets", few | {"one": "more"}), ("/api/v1/mask-previews", nested)):
        told = annotator.api.post(path, json=body)
        assert (told.status_code, told.json()["code"]) == (422, "too_many_fields"), path
