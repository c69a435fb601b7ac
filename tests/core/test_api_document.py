"""The OpenAPI document is complete: every REST route, every failure, the token, nothing of the pages."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.support.routes import all_routes


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    response = TestClient(app).get("/api/v1/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, verb, how) for path, verbs in document["paths"].items() for verb, how in verbs.items()]


def test_every_rest_route_is_in_and_no_page(app: FastAPI, document: dict[str, Any]) -> None:
    rest = {route.path for _, route in all_routes(app) if route.path.startswith("/api/")}
    rest.remove("/api/v1/openapi.json")
    assert {"/api/v1/datasets", "/api/v1/mask-previews", "/api/v1/mask-checks", "/api/v1/runs"} <= rest
    assert set(document["paths"]) == rest


def test_every_operation_says_what_it_does_and_belongs_somewhere(document: dict[str, Any]) -> None:
    silent = [
        f"{verb} {path}"
        for path, verb, how in operations(document)
        if not how.get("description") or not how.get("tags")
    ]
    assert silent == []
    ids = [how["operationId"] for _, _, how in operations(document)]
    assert len(ids) == len(set(ids))


def test_a_client_learns_of_the_token_and_of_problem_documents(document: dict[str, Any]) -> None:
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
    for _, _, how in operations(document):
        for status, response in how["responses"].items():
            if status >= "400":
                assert "application/problem+json" in response["content"]
        assert {"401", "403"} <= set(how["responses"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [found for value in part.values() for found in references(value)]
        return [found for value in part for found in references(value)] if isinstance(part, list) else []

    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names == set(document["components"]["schemas"]), "and each schema is named somewhere"


def test_a_refusal_looks_as_the_document_says(app: FastAPI, document: dict[str, Any]) -> None:
    response = TestClient(app).get("/api/v1/datasets")
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert set(document["components"]["schemas"]["Problem"]["required"]) <= set(response.json())


def test_ids_have_a_largest_and_a_wrong_method_names_the_right_ones(
    app: FastAPI, document: dict[str, Any]
) -> None:
    parameters = document["paths"]["/api/v1/runs/{run_id}"]["get"]["parameters"]
    assert parameters[0]["schema"]["maximum"] == 2**31 - 1
    fields = document["components"]["schemas"]["MaskCheckIn"]["properties"]
    assert fields["base_model_id"]["maximum"] == 2**31 - 1
    response = TestClient(app).request("TRACE", "/api/v1/datasets")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_body_is_demanded_only_where_something_in_it_is(document: dict[str, Any]) -> None:
    """Of what is asked for, not of a change: one of nothing is a mistake."""
    schemas, demanding = document["components"]["schemas"], []
    for path, verb, how in operations(document):
        body = how.get("requestBody", {})
        for told in body.get("content", {}).values():
            schema = told["schema"]
            schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            if (
                verb != "patch"
                and body.get("required")
                and not schema.get("required")
                and not schema.get("oneOf")
            ):
                demanding.append(f"{verb} {path}")
    assert demanding == []
