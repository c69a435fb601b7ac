"""One table says who may do what; every route, by token and by cookie, keeps to it, and so does every page."""

import re
from typing import Literal
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from sqlmodel import col, select
from starlette.routing import Match

from app.accounts.access import permission_of
from app.accounts.models import Role, Scope
from app.accounts.permissions import RULES, Permission, allows, covers
from app.conversations.models import Conversation, ReviewState
from app.core.database import transaction
from app.core.templating import TEMPLATES_DIR
from app.core.web import is_public
from tests.support.pages import pages_of, run_id
from tests.support.people import Person, make_person
from tests.support.routes import all_routes, filled

__all__ = ["run_id"]

MAY = re.compile(r"\bmay\((.*?)\)")


def _closed(app: FastAPI) -> list[tuple[str, str, Permission]]:
    """Every (verb, path) that is not public, with its permission."""
    found = []
    for method, route in all_routes(app):
        permission = permission_of(route.endpoint)
        assert (permission is not None) != is_public(route.endpoint), f"{method} {route.path}"
        if permission is not None:
            found.append((method, route.path, permission))
    return found


def test_every_route_is_public_or_names_one_permission(app: FastAPI) -> None:
    assert len(_closed(app)) > 100


def test_every_permission_has_a_rule_and_a_route_or_a_service_that_asks_for_it(app: FastAPI) -> None:
    assert set(RULES) == set(Permission)
    asked_by_services = {
        Permission.CONVERSATION_REVIEW,
        Permission.JOB_STOP,
        Permission.PLAYGROUND_READ_OTHERS,
        Permission.RECIPE_MANAGE,
    }
    assert {permission for _, _, permission in _closed(app)} | asked_by_services == set(Permission)


def test_what_a_page_asks_for_rest_asks_for_too(app: FastAPI) -> None:
    by_rest = {permission for _, path, permission in _closed(app) if path.startswith("/api/")}
    assert {permission for _, _, permission in _closed(app)} == by_rest


@pytest.mark.parametrize(
    ("role", "by"),
    [
        *((role, by) for role in Role for by in (Scope.ALL, "cookie")),
        *((Role.ADMIN, scope) for scope in Scope if scope is not Scope.ALL),
    ],
)
def test_a_route_is_refused_exactly_where_the_table_says_so(
    app: FastAPI, role: Role, by: Scope | Literal["cookie"]
) -> None:
    person = make_person(app, role, scope=Scope.ALL if by == "cookie" else by)
    # Signing out ends the person that asks, so it comes last.
    for method, path, permission in sorted(_closed(app), key=lambda one: one[1] == "/logout"):
        if by != "cookie" and not path.startswith("/api/"):
            continue
        client = person.browser if by == "cookie" else person.api
        response = client.request(method, filled(path), follow_redirects=False)
        expected = not allows(role, permission) or (by != "cookie" and not covers(by, permission))
        assert (response.status_code == 403) is expected, f"{method} {path}: {response.status_code}"
        if expected:
            assert permission.value in response.text


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "This needs the role engineer (run.start). Ask an admin."),
        ("zh-CN", "此操作需要“工程师”角色（run.start），请联系管理员。"),
    ],
)
def test_a_refusal_names_the_role_in_the_readers_language(
    annotator: Person, language: str, says: str
) -> None:
    response = annotator.browser.post("/api/v1/runs", json={}, headers={"Accept-Language": language})
    assert response.json()["detail"] == says
    # Whoever got the role since has to make a new token.
    told = annotator.api.post("/api/v1/runs", json={}, headers={"Accept-Language": language}).json()["detail"]
    assert "(run.start)" in told or "（run.start）" in told
    assert ("make a new token" in told) or ("创建新的令牌" in told)


# What a role is offered that no lesser one is; whoever may do more is offered all of it.
OFFERED = {
    Role.ANNOTATOR: ["/datasets", "/datasets/2/conversations", "/conversations/2/turns/0"],
    Role.REVIEWER: ["/datasets/2/review", "/conversations/1/delete", "/datasets/2/settings"],
    Role.ENGINEER: [
        "/datasets/2/versions",
        "/datasets/1/delete",
        "/datasets/2/archive",
        "/datasets/2/versions/1/export",
        "/runs",
        "/api/v1/runs/{run_id}/artifacts/1/content",
        "/evaluations",
        "/base-models",
    ],
    Role.ADMIN: ["/people", "/audit"],
}


@pytest.mark.parametrize("role", list(Role))
def test_pages_offer_a_role_what_it_may_do_and_nothing_else(app: FastAPI, run_id: int, role: Role) -> None:
    routes = all_routes(app)
    browser = make_person(app, role).browser
    reached = []
    offered: set[str] = set()
    for page, _text, offers in pages_of(browser):
        reached.append(page)
        offered |= {urlsplit(address).path for _method, address in offers}
        for method, address in sorted(offers):
            scope = {"type": "http", "method": method, "path": urlsplit(address).path, "root_path": ""}
            fit = [
                route for verb, route in routes if verb == method and route.matches(scope)[0] is Match.FULL
            ]
            assert fit, f"{page} offers {method} {address}, which is no route"
            permission = permission_of(fit[0].endpoint)
            if permission is not None:
                assert allows(role, permission), f"{page} offers {method} {address} to {role.value}"
    up_to = list(Role)[: list(Role).index(role) + 1]
    wanted = {address.format(run_id=run_id) for one in up_to for address in OFFERED[one]}
    assert wanted <= offered, wanted - offered
    for page in ("/datasets/2", "/datasets/2/versions", "/runs/1", "/evaluations", "/playground", "/account"):
        assert any(urlsplit(one).path == page for one in reached), (page, reached)
    assert any(page.startswith("/mask-checks/") for page in reached)
    assert sum(page.startswith("/conversations/") for page in reached) >= len(ReviewState)


def test_templates_ask_only_for_permissions_that_there_are() -> None:
    asked = [
        (path.name, found)
        for path in TEMPLATES_DIR.rglob("*.html")
        for found in MAY.findall(path.read_text(encoding="utf-8"))
        if found.startswith(('"', "'"))
    ]
    assert len(asked) > 15
    assert [one for one in asked if one[1].strip("\"'") not in set(Permission)] == []


def test_an_annotator_hands_in_again_through_the_page_and_through_rest_alike(
    app: FastAPI, annotator: Person, run_id: int
) -> None:
    with transaction(app.state.engine) as session:
        rows = session.exec(select(Conversation).order_by(col(Conversation.id)).limit(3)).all()
        for row in rows:
            row.review_state, row.review_reason = ReviewState.REJECTED, "Too short."
            session.add(row)
        (first, second, third) = [(row.id, row.version) for row in rows]
    page = annotator.browser.post(
        f"/conversations/{first[0]}/review", data={"version": first[1], "state": "draft"}
    )
    assert page.status_code == 303
    body = {"version": second[1], "state": "draft"}
    rest = annotator.api.post(f"/api/v1/conversations/{second[0]}/review", json=body)
    assert (rest.status_code, rest.json()["review_state"]) == (200, "draft")
    body = {"version": third[1], "state": "approved"}
    assert annotator.api.post(f"/api/v1/conversations/{third[0]}/review", json=body).status_code == 403
    refused = annotator.browser.post(f"/conversations/{third[0]}/review", data=body)
    assert refused.status_code == 403
