"""Whatever is sent, wherever: the answer is a refusal in words and never the server's own mistake."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts.models import Role
from app.core.api_document import api_document
from app.notices.document import describe
from tests.support.bad_values import (
    MOMENTS,
    TEXTS,
    VALUES,
    moments_in_query,
    parameters_of,
    required_query,
    schema_example,
    with_one_wrong,
)
from tests.support.exported import do_export, keep_provenance, run_with_adapter
from tests.support.judged import judged
from tests.support.people import Person, make_person
from tests.support.routes import all_routes

Request = tuple[str, str, dict[str, Any]]
JSON_TYPE = {"Content-Type": "application/json"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
HOSTILE_HEADERS = ("http://[", "http://[x]", "//[", "\xfc\xff", "http://a:99999999", "-5", "%", "9" * 30)
HEADERS = (
    "Origin", "Referer", "Host", "Accept-Language", "Cookie", "Content-Type", "Content-Length", "Authorization",
    "X-CSRF-Token", "Last-Event-ID", "Range", "If-None-Match", "If-Modified-Since", "HX-Current-URL",
    "X-Forwarded-For", "Accept",
)  # fmt: skip


@pytest.fixture
def person(app: FastAPI, silent_bell: None) -> Person:
    """An admin of an empty installation."""
    return make_person(app, Role.ADMIN)


@pytest.fixture
def furnished(app: FastAPI, person: Person) -> Person:
    """An admin; of everything that has an id there is one of id 1: dataset, version, check, run, export, evaluation, …"""
    run_id = run_with_adapter(app)
    keep_provenance(app, run_id)
    judged(app, run_id=run_id)
    export = person.api.post(f"/api/v1/runs/{run_id}/exports", json={"kind": "adapter", "choices": {}})
    do_export(app, export.json()["id"])
    line = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'
    for made in (
        person.api.post("/api/v1/datasets/1/imports", files={"file": ("a.jsonl", line)}),
        person.api.post("/api/v1/conversations/1/comments", json={"text": "Too short."}),
    ):
        assert made.status_code == 201
    return person


def sent(text: str) -> str:
    """As it stands in an address or a form; half a character too."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def turns(items: tuple[Any, ...], start: int, count: int) -> list[Any]:
    """`count` of the items from a place on, so that all of them get their turn over several calls."""
    return [items[(start + step) % len(items)] for step in range(count)]


def requests_of(method: str, route: Any, document: dict[str, Any], start: int) -> Iterator[Request]:
    """Each place of this route where a client says something, with values in turn."""
    path = re.sub(r"\{[^}]+\}", "1", route.path)
    if path != route.path:
        for text in turns(TEXTS[2:], start, 1):
            yield method, re.sub(r"\{[^}]+\}", lambda _, text=text: sent(text), route.path), {}
    for place, name in enumerate(parameters_of(route, "query")):
        others = "".join(f"&{other}=1" for other in required_query(route) if other != name)
        texts = turns(TEXTS, start + place, 2)
        for text in [*texts, *MOMENTS] if name in moments_in_query(route) else texts:
            yield method, f"{path}?{name}={sent(text)}{others}", {}
    form = parameters_of(route, "form")
    body = document["paths"].get(route.path, {}).get(method.lower(), {}).get("requestBody", {})
    if schema := body.get("content", {}).get("application/json", {}).get("schema"):
        example = schema_example(schema, document["components"]["schemas"])
        for place, _ in enumerate(with_one_wrong(example, None)):
            for value in turns(VALUES, start + place, 2 if place < 40 else 1):
                wrong = list(with_one_wrong(example, value))[place][1]
                yield method, path, {"content": json.dumps(wrong), "headers": JSON_TYPE}
    elif method != "GET":
        for place, name in enumerate(form):
            # Hashing a password takes long on purpose.
            for text in turns(TEXTS, start + place, 1 if "password" in form else 2):
                content = "&".join(f"{other}={sent(text) if other == name else '1'}" for other in form)
                yield method, path, {"content": content, "headers": FORM_TYPE}


def last_what_removes(request: tuple[str, Any]) -> tuple[bool, str]:
    method, route = request
    return method == "DELETE" or route.path.endswith(("/delete", "/close", "/stop")), route.path


def test_no_value_in_any_place_of_any_route_is_the_servers_mistake(app: FastAPI, furnished: Person) -> None:
    document = api_document(app, describe())
    asked, mistakes = 0, []
    for number, (method, route) in enumerate(sorted(all_routes(app), key=last_what_removes)):
        # Signing out ends the person who asks; a stream of events goes on.
        if route.path == "/logout" or route.path.endswith("/events"):
            continue
        client = furnished.api if route.path.startswith("/api/") else furnished.browser
        for verb, address, options in requests_of(method, route, document, number):
            answer = client.request(verb, address, follow_redirects=False, **options)
            asked += 1
            if answer.status_code >= 500:
                mistakes.append((verb, address[:80], str(options)[:200], answer.status_code))
    assert mistakes == []
    assert asked > 700


def test_head_says_of_every_address_what_get_does(app: FastAPI, furnished: Person) -> None:
    there = 0
    for method, route in all_routes(app):
        if method != "GET" or route.path.endswith("/events"):
            continue
        client = furnished.api if route.path.startswith("/api/") else furnished.browser
        address = re.sub(r"\{[^}]+\}", "1", route.path)
        got, asked = (client.request(verb, address, follow_redirects=False) for verb in ("GET", "HEAD"))
        assert (asked.status_code, asked.content) == (got.status_code, b""), address
        assert asked.headers.get("content-type") == got.headers.get("content-type"), address
        assert got.status_code < 500, address
        there += got.status_code == 200
    assert there > 80


def test_no_header_is_the_servers_mistake(app: FastAPI, person: Person) -> None:
    routes: list[tuple[TestClient, str, str, dict[str, Any]]] = [
        (person.browser, "GET", "/datasets", {}),
        (person.browser, "POST", "/preferences/theme", {"data": {"theme": "dark"}}),
        (person.browser, "POST", "/datasets", {"data": {"name": "x"}}),
        (person.api, "POST", "/api/v1/datasets", {"json": {"name": "y"}}),
        (person.browser, "GET", "/static/css/base.css", {}),
    ]
    mistakes = []
    for name in HEADERS:
        for value in turns(HOSTILE_HEADERS, len(name), 4):
            for client, method, path, options in routes:
                told = client.request(
                    method, path, headers={name.encode(): value.encode("latin-1")}, **options
                )
                if told.status_code >= 500:
                    mistakes.append((name, value, method, path, told.status_code))
    assert mistakes == []


def test_a_form_with_a_foreign_mark_is_refused(person: Person) -> None:
    del person.browser.headers["X-CSRF-Token"]
    for mark in ("ü", "\ud800", "\x00", ""):
        told = person.browser.post(
            "/datasets", content=f"csrf_token={sent(mark)}&name=x".encode(), headers=FORM_TYPE
        )
        assert told.status_code == 403


@pytest.mark.parametrize("reference", ["a/\x00", "x/" + "a" * 400, "~nobody-is-called-so/x", "/" + "\ud800"])
def test_a_folder_that_no_file_system_could_have_is_refused(person: Person, reference: str) -> None:
    for told in (
        person.api.post(
            "/api/v1/base-models",
            content=json.dumps({"source": "local", "reference": reference}),
            headers=JSON_TYPE,
        ),
        person.browser.post(
            "/base-models", content=f"source=local&reference={sent(reference)}", headers=FORM_TYPE
        ),
    ):
        assert told.status_code == 422
