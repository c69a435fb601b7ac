"""Every route is closed unless it is marked public; browsers prove that the request is their own page's."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts.access import SESSION_COOKIE
from app.core.web import is_public
from tests.support.people import Person
from tests.support.routes import all_routes, filled

PUBLIC = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/link"),
    ("POST", "/login/link"),
    ("GET", "/login/reset"),
    ("POST", "/login/reset"),
    ("GET", "/setup"),
    ("POST", "/setup"),
    ("GET", "/healthz"),
    ("GET", "/api/v1/openapi.json"),
    ("POST", "/preferences/language"),
    ("POST", "/preferences/theme"),
}


def test_only_the_known_routes_are_public(app: FastAPI) -> None:
    assert {(method, route.path) for method, route in all_routes(app) if is_public(route.endpoint)} == PUBLIC


def test_every_other_route_refuses_a_stranger(app: FastAPI) -> None:
    stranger = TestClient(app, follow_redirects=False, raise_server_exceptions=False)
    closed = [(m, r.path) for m, r in all_routes(app) if not is_public(r.endpoint)]
    assert len(closed) > 30
    for method, path in closed:
        response = stranger.request(method, filled(path))
        allowed = {401} if path.startswith(("/api/", "/v1/")) else {303}
        assert response.status_code in allowed, f"{method} {path} answered {response.status_code}"
        if response.status_code == 303:
            assert response.headers["location"].startswith("/login")


def test_an_unknown_token_is_refused_everywhere_and_never_falls_back_to_the_cookie(
    app: FastAPI, admin: Person
) -> None:
    cookie = admin.browser.cookies[SESSION_COOKIE]
    client = TestClient(app, cookies={SESSION_COOKIE: cookie}, headers={"Authorization": "Bearer sft_wrong"})
    assert client.get("/api/v1/datasets").status_code == 401


def test_a_token_does_not_open_pages(admin: Person) -> None:
    assert admin.api.get("/datasets", follow_redirects=False).status_code == 303


def test_a_browser_without_the_csrf_token_changes_nothing(app: FastAPI, admin: Person) -> None:
    client = TestClient(app, cookies={SESSION_COOKIE: admin.browser.cookies[SESSION_COOKIE]})
    assert client.post("/api/v1/datasets", json={"name": "x"}).status_code == 403
    assert client.post("/account/tokens", data={"name": "x", "scope": "all"}).status_code == 403
    assert admin.browser.get("/api/v1/datasets").json() == []


def test_another_sites_request_is_refused_even_with_the_token(admin: Person) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert admin.browser.post("/api/v1/datasets", json={"name": "x"}, headers=headers).status_code == 403


def test_a_foreign_host_name_is_refused(app: FastAPI) -> None:
    client = TestClient(app, base_url="http://evil.example")
    assert client.get("/login").status_code == 421


def test_an_annotator_may_not_do_what_needs_a_higher_role(annotator: Person) -> None:
    for path, body in (
        ("/api/v1/base-models", {"source": "bundled"}),
        ("/api/v1/runs", {"mask_check_id": 1}),
        ("/api/v1/datasets/1/versions", None),
    ):
        assert annotator.api.post(path, json=body).status_code == 403, path


def test_pages_carry_a_strict_content_security_policy(admin: Person) -> None:
    policy = admin.browser.get("/login").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_a_token_that_is_no_plain_ascii_is_refused_like_any_wrong_one(admin: Person) -> None:
    form = {"csrf_token": "ü", "name": "x", "scope": "all"}
    del admin.browser.headers["X-CSRF-Token"]
    assert admin.browser.post("/account/tokens", data=form).status_code == 403
