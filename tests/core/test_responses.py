"""A failure leaves as a problem document for programs, and as a page for people."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.support.people import Person


def test_programs_get_a_problem_document(annotator: Person) -> None:
    told = annotator.api.get("/api/v1/datasets/999")
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json()["status"] == told.status_code == 404
    assert told.json()["detail"]


def test_people_get_a_page(annotator: Person) -> None:
    told = annotator.browser.get("/datasets/999")
    assert told.status_code == 404
    assert "text/html" in told.headers["content-type"]


def test_a_page_under_a_word_where_a_number_belongs_does_not_exist(annotator: Person) -> None:
    assert annotator.browser.get("/runs/newest").status_code == 404
    assert annotator.browser.get("/datasets/1?page=no").status_code == 422
    assert annotator.api.get("/api/v1/runs/newest").status_code == 422


def test_an_address_that_does_not_exist_is_told_within_the_frame_of_whoever_is_signed_in(
    app: FastAPI, annotator: Person
) -> None:
    known = annotator.browser.get("/no/such/page")
    assert known.status_code == 404
    assert 'aria-label="Main navigation"' in known.text
    assert "test annotator" in known.text
    stranger = TestClient(app).get("/no/such/page")
    assert stranger.status_code == 404
    assert "Main navigation" not in stranger.text
    forged = TestClient(app, cookies={"sft_session": "x"}).get("/no/such/page")
    assert "Main navigation" not in forged.text


def test_who_is_not_signed_in_is_shown_the_way(app: FastAPI) -> None:
    client = TestClient(app, follow_redirects=False)
    assert client.get("/datasets").headers["location"] == "/login?next=/datasets"
    api = client.get("/api/v1/datasets")
    assert (api.status_code, api.headers["WWW-Authenticate"]) == (401, "Bearer")
    fragment = client.get("/datasets", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, "/login")


def test_an_address_says_what_it_allows(annotator: Person) -> None:
    told = annotator.api.put("/api/v1/datasets", json={})
    assert told.status_code == 405
    assert "GET" in told.headers["allow"]
