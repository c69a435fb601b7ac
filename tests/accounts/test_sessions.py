"""Signed-in browsers: listed with where and when, ended one by one, and back at the page one came from."""

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import col, select

from app.accounts.access import SESSION_COOKIE
from app.accounts.models import ADDRESS_LENGTH, ApiToken, AuditEvent, LoginSession, Role, User
from app.accounts.sessions import browser_of, csrf_token_of
from app.core.database import reading
from tests.support.people import PASSWORD, Person, make_person, visible_text

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)


def visitor(app: FastAPI, address: str = "192.0.2.7", agent: str = FIREFOX) -> TestClient:
    headers = {"Accept-Language": "en", "User-Agent": agent}
    return TestClient(app, client=(address, 1), follow_redirects=False, headers=headers)


@pytest.mark.parametrize(
    ("agent", "named"),
    [
        (FIREFOX, ("Firefox", "Linux")),
        (EDGE, ("Edge", "Windows")),
        (PHONE, ("Safari", "iOS")),
        ("curl/8.0", ("", "")),
    ],
)
def test_browsers_are_named_as_people_know_them(agent: str, named: tuple[str, str]) -> None:
    assert browser_of(agent) == named


def test_ones_browsers_are_listed_and_ended_one_by_one_or_all_others(app: FastAPI, annotator: Person) -> None:
    form = {"name": annotator.actor.name, "password": PASSWORD}
    others = [visitor(app, f"192.0.2.{number}") for number in range(3)]
    for other in others:
        assert other.post("/login", data=form).status_code == 303
    page = annotator.browser.get("/account").text
    for said in ("Firefox on Linux", "192.0.2.0", "192.0.2.2", "this one"):
        assert said in visible_text(page)
    ends = sorted(re.findall(r"/account/sessions/\d+/end", page))
    assert len(ends) == 3
    stranger = make_person(app, Role.REVIEWER)
    assert stranger.browser.post(ends[0]).status_code == 404
    assert annotator.browser.post(ends[0]).status_code == 303
    assert [other.get("/account").status_code for other in others] == [303, 200, 200]
    assert annotator.browser.post("/account/sessions/end-others").status_code == 303
    assert [other.get("/account").status_code for other in others] == [303, 303, 303]
    assert "this has ended" in visible_text(others[0].get("/login").text)
    assert "this has ended" not in visible_text(visitor(app, "192.0.2.9").get("/login").text)
    assert annotator.browser.get("/account").status_code == 200
    assert stranger.browser.get("/account").status_code == 200
    left = stranger.browser.post("/logout")
    assert f'{SESSION_COOKIE}=""' in left.headers["Set-Cookie"], "who left has no cookie that has ended"


def test_ones_browsers_are_listed_and_ended_by_rest_too(app: FastAPI, annotator: Person) -> None:
    form = {"name": annotator.actor.name, "password": PASSWORD}
    others = [visitor(app, f"192.0.2.{number}") for number in range(3)]
    for other in others:
        assert other.post("/login", data=form).status_code == 303
    path = "/api/v1/account/sessions"
    listed = annotator.browser.get(path).json()
    assert [(one["address"], one["browser"], one["system"]) for one in listed if not one["is_current"]] == [
        (f"192.0.2.{number}", "Firefox", "Linux") for number in (2, 1, 0)
    ]
    assert sum(one["is_current"] for one in listed) == 1
    # A token sees them, and ends none: that takes a browser.
    assert not any(one["is_current"] for one in annotator.api.get(path).json())
    first = next(one["id"] for one in listed if one["address"] == "192.0.2.0")
    assert annotator.api.delete(f"{path}/{first}").status_code == 403
    assert make_person(app, Role.REVIEWER).browser.delete(f"{path}/{first}").status_code == 404
    assert annotator.browser.delete(f"{path}/{first}").status_code == 204
    assert [other.get("/account").status_code for other in others] == [303, 200, 200]
    assert annotator.browser.post(f"{path}/end-others").status_code == 204
    assert [one["is_current"] for one in annotator.browser.get(path).json()] == [True]


def test_signing_in_again_ends_the_sign_in_before(app: FastAPI, annotator: Person) -> None:
    browser = visitor(app)
    form = {"name": annotator.actor.name, "password": PASSWORD}
    browser.post("/login", data=form)
    before = dict(browser.cookies)
    csrf = csrf_token_of(before[SESSION_COOKIE])
    assert browser.post("/login", data={**form, "csrf_token": csrf}).status_code == 303
    old = visitor(app)
    old.cookies.update(before)
    assert old.get("/account").status_code == 303
    assert browser.get("/account").status_code == 200


def test_who_was_seen_when_is_stored_at_once_for_all(app: FastAPI, admin: Person, annotator: Person) -> None:
    assert "not yet" in visible_text(admin.browser.get("/people").text)
    annotator.api.get("/api/v1/me")
    annotator.browser.get("/datasets")
    app.state.activity.store(app.state.engine)
    with reading(app.state.engine) as session:
        user = session.get(User, annotator.actor.user_id)
        token = session.exec(select(ApiToken).where(ApiToken.user_id == annotator.actor.user_id)).one()
        login = session.exec(
            select(LoginSession).where(LoginSession.user_id == annotator.actor.user_id)
        ).one()
    assert user is not None
    seen = [user.seen_at, token.seen_at, login.seen_at]
    assert None not in seen
    assert login.address == "testclient"
    app.state.activity.store(app.state.engine)
    people = {one["name"]: one["seen_at"] for one in admin.api.get("/api/v1/people").json()}
    assert people[annotator.actor.name] is not None


def test_an_address_of_any_length_is_kept_as_long_as_it_may_be(app: FastAPI, annotator: Person) -> None:
    browser = visitor(app, "2001:db8::1%" + "x" * 100)
    form = {"name": annotator.actor.name, "password": PASSWORD}
    browser.post("/login", data={**form, "password": "wrong guess"})
    browser.post("/login", data=form)
    browser.get("/account")
    app.state.activity.store(app.state.engine)
    with reading(app.state.engine) as session:
        lines = session.exec(select(AuditEvent.address).where(col(AuditEvent.address).is_not(None))).all()
        logins = session.exec(select(LoginSession.address).where(LoginSession.address != "")).all()
    assert [len(address or "") for address in (*lines, *logins)] == [ADDRESS_LENGTH] * 3


def test_signing_in_leads_back_to_the_page_with_its_query(app: FastAPI, annotator: Person) -> None:
    browser = visitor(app)
    page = "/datasets?archived=true&page=2"
    quoted = "/login?next=/datasets%3Farchived%3Dtrue%26page%3D2"
    assert browser.get(page).headers["location"] == quoted
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
    assert browser.get("/datasets/1", headers=headers).headers["hx-redirect"] == quoted
    sent = browser.post("/account/tokens", headers={"Referer": f"http://testserver{page}"})
    assert sent.headers["location"] == quoted
    hidden = re.search(r'name="next" value="([^"]+)"', browser.get(quoted).text)
    assert hidden is not None
    assert hidden[1].replace("&amp;", "&") == page
