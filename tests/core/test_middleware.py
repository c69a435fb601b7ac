"""Around every request: host names, the size of bodies, the reader's language, headers."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.core.middleware import SECURITY_HEADERS, STRANGERS_BYTES
from app.dialogue.limits import BODY_BYTES
from tests.support.people import Person


def test_another_host_name_is_not_answered(app: FastAPI) -> None:
    told = TestClient(app, base_url="http://evil.example").get("/healthz")
    assert told.status_code == 421
    assert "SFT_STUDIO_ALLOWED_HOSTS" in told.text
    assert TestClient(app, base_url="http://LOCALHOST:8000").get("/healthz").status_code == 200


def test_every_answer_has_the_headers_and_only_files_with_a_hash_are_kept(app: FastAPI) -> None:
    client = TestClient(app)
    page, file = client.get("/login"), client.get("/static/css/base.css")
    for answer in (page, file):
        assert all(name in answer.headers for name in SECURITY_HEADERS)
    assert page.headers["Cache-Control"] == "no-store"
    assert file.headers["Cache-Control"] != "no-store"


def test_a_body_beyond_the_limit_is_refused_with_and_without_its_length(annotator: Person) -> None:
    limit = BODY_BYTES + 2 * 1024 * 1024

    def pieces() -> object:
        for _ in range(limit // 2**20 + 1):
            yield b"x" * 2**20

    for content in (b"x" * limit, pieces()):
        told = annotator.api.post("/api/v1/datasets", content=content)  # type: ignore[arg-type]
        assert told.status_code == 413
        assert told.json()["code"]
        assert "12 MB" in told.json()["detail"]


def test_who_is_not_known_sends_little_whatever_it_is(app: FastAPI) -> None:
    stranger = TestClient(app)
    body = b'{"name": "' + b"x" * STRANGERS_BYTES + b'"}'
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        for path in ("/api/v1/datasets", "/login"):
            told = stranger.post(path, content=body, headers={"Content-Type": kind})
            assert told.status_code == 401, (kind, path)

    def pieces() -> Iterator[bytes]:
        # Without its length: cut off when it is too much.
        for _ in range(3):
            yield body

    told = stranger.post("/api/v1/datasets", content=pieces(), headers={"Content-Type": "application/json"})
    assert (told.status_code, "1 MB" in told.json()["detail"]) == (413, True)


def test_the_reader_is_answered_in_the_language_asked_for(annotator: Person) -> None:
    told = annotator.api.get("/api/v1/datasets/999", headers={"Accept-Language": "zh-CN"})
    assert told.status_code == 404
    assert any("\u4e00" <= character <= "\u9fff" for character in told.json()["detail"])


def test_head_is_answered_wherever_get_is(annotator: Person) -> None:
    for client, path in (
        (annotator.browser, "/healthz"),
        (annotator.browser, "/datasets"),
        (annotator.api, "/api/v1/datasets"),
        (annotator.browser, "/static/css/base.css"),
    ):
        got, asked = client.get(path), client.head(path)
        assert (asked.status_code, asked.content) == (got.status_code, b"")
        assert asked.headers["content-type"] == got.headers["content-type"]
    assert annotator.api.head("/api/v1/jobs/999").status_code == 404


def test_a_wrong_verb_is_told_all_the_right_ones(annotator: Person) -> None:
    for path, allowed in (
        ("/api/v1/datasets", "GET, HEAD, POST"),
        ("/api/v1/datasets/1", "DELETE, GET, HEAD, PATCH"),
        ("/logout", "POST"),
        ("/static/css/base.css", "GET, HEAD"),
    ):
        told = annotator.api.request("PUT", path)
        assert (told.status_code, told.headers["Allow"]) == (405, allowed), path


def test_a_full_disk_is_told_to_whoever_watches(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TestClient(app).get("/healthz").json() == {"status": "ok"}
    monkeypatch.setattr("app.main.free_bytes", lambda _folder: 1024)
    told = TestClient(app).get("/healthz")
    assert told.status_code == 503
    assert "The disk is full" in told.text
