"""Passwords: changed by their owner, forced at the first sign-in, reset with a link that works once."""

import re
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

from app.accounts.models import Role, User
from app.accounts.sign_in import BY_NAME, Attempts
from app.core.database import transaction, utc_now
from tests.support.people import PASSWORD, Person, make_person, visible_text

NEW = "another long password"


def visitor(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False, headers={"Accept-Language": "en"})


def sign_in(app: FastAPI, name: str, password: str) -> TestClient | None:
    client = visitor(app)
    answer = client.post("/login", data={"name": name, "password": password})
    return client if answer.status_code == 303 else None


def change(person: Person, old: str, password: str, **more: str) -> httpx.Response:
    form = {"old": old, "password": password, **more}
    answer: httpx.Response = person.browser.post("/account/password", data=form)
    return answer


def test_ones_own_password_is_changed_with_the_old_one_and_other_browsers_end_by_choice(
    app: FastAPI, annotator: Person
) -> None:
    name = annotator.actor.name
    for old, password, said in (
        ("wrong guess", NEW, "not your password until now"),
        (PASSWORD, "short", "at least 10 characters"),
        (PASSWORD, "x" * 1001, "at most 1,000 characters"),
        (PASSWORD, PASSWORD, "another password"),
    ):
        refused = change(annotator, old, password)
        assert (refused.status_code, said in visible_text(refused.text)) == (422, True), said
        assert f'value="{password}"' not in refused.text
    elsewhere = make_person(app, Role.ANNOTATOR, name)
    assert change(annotator, PASSWORD, NEW).headers["location"] == "/account"
    assert elsewhere.browser.get("/account").status_code == 200
    assert change(annotator, NEW, PASSWORD + "!", end_others="true").status_code == 303
    assert elsewhere.browser.get("/account").status_code == 303
    assert annotator.browser.get("/account").status_code == 200
    assert elsewhere.api.get("/api/v1/me").status_code == 200
    assert sign_in(app, name, PASSWORD) is None
    assert sign_in(app, name, PASSWORD + "!") is not None


def test_the_old_password_is_guessed_at_as_seldom_as_at_sign_in(app: FastAPI, annotator: Person) -> None:
    for _ in range(BY_NAME.amount):
        assert change(annotator, "wrong guess", NEW).status_code == 422
    refused = change(annotator, PASSWORD, NEW)
    assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
    body = {"old": PASSWORD, "password": NEW}
    assert annotator.browser.put("/api/v1/account/password", json=body).status_code == 429


def test_a_password_that_was_handed_over_is_changed_before_anything_else(app: FastAPI, admin: Person) -> None:
    admin.browser.post("/people", data={"name": "Mei", "password": PASSWORD, "role": "annotator"})
    assert "first password" in visible_text(admin.browser.get("/people").text)
    mei = sign_in(app, "Mei", PASSWORD)
    assert mei is not None
    led = mei.get("/datasets?archived=true")
    assert led.headers["location"] == "/account/password?next=/datasets%3Farchived%3Dtrue"
    assert mei.get("/api/v1/datasets").status_code == 403
    assert mei.get("/datasets", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/account/password"
    page = mei.get(led.headers["location"])
    assert "Choose a password of your own" in visible_text(page.text)
    assert 'name="end_others"' not in page.text
    whoever_handed_it_over = sign_in(app, "Mei", PASSWORD)
    assert whoever_handed_it_over is not None
    token = re.search(r'name="csrf_token" value="(\w+)"', page.text)
    assert token is not None
    form = {"csrf_token": token[1], "old": PASSWORD, "password": NEW, "next": "/datasets?archived=true"}
    assert mei.post("/account/password", data=form).headers["location"] == "/datasets?archived=true"
    assert mei.get("/datasets").status_code == 200
    assert whoever_handed_it_over.get("/datasets").headers["location"] == "/login?next=/datasets"
    assert "first password" not in visible_text(admin.browser.get("/people").text)


def test_the_page_on_which_it_is_changed_asks_for_nothing_that_would_lead_to_it_again(
    app: FastAPI, admin: Person
) -> None:
    admin.browser.post("/people", data={"name": "Mei", "password": PASSWORD, "role": "annotator"})
    mei = sign_in(app, "Mei", PASSWORD)
    assert mei is not None
    by_itself = re.compile(r'hx-get="([^"]+)"[^>]*hx-trigger="[^"]*(?:load|every)')
    here = {"HX-Request": "true", "HX-Current-URL": "http://testserver/account/password?next=/datasets"}
    assert by_itself.findall(admin.browser.get("/account/password").text) == ["/notices/bell"]
    assert by_itself.findall(mei.get("/account/password").text) == []
    refused = mei.get("/notices/bell", headers=here)
    assert (refused.status_code, "hx-redirect" in refused.headers) == (403, False)
    elsewhere = mei.get("/notices/bell", headers={**here, "HX-Current-URL": "http://testserver/datasets"})
    assert elsewhere.headers["hx-redirect"] == "/account/password?next=/datasets"


def test_whoever_is_added_without_a_password_sets_their_own_with_a_link(app: FastAPI, admin: Person) -> None:
    link = shown_link(admin, admin.browser.post("/people", data={"name": "Mei", "role": "reviewer"}))
    mei = visitor(app)
    assert (
        mei.post("/login/reset", data={"code": link.rpartition("=")[2], "password": NEW}).status_code == 303
    )
    assert mei.get("/datasets").status_code == 200
    assert "first password" not in visible_text(admin.browser.get("/people").text)


def reset_link(admin: Person, user_id: int) -> str:
    return shown_link(admin, admin.browser.post(f"/people/{user_id}/reset-link"))


def shown_link(admin: Person, made: httpx.Response) -> str:
    assert (made.status_code, made.headers["location"]) == (303, "/people")
    found = re.search(r"http://\S+/login/reset\?code=[\w-]+", admin.browser.get("/people").text)
    assert found is not None
    assert found[0] not in admin.browser.get("/people").text, "it is shown once"
    return found[0]


def test_a_reset_link_sets_a_password_once_and_signs_out_everywhere(
    app: FastAPI, admin: Person, annotator: Person
) -> None:
    first = reset_link(admin, annotator.actor.user_id)
    link = reset_link(admin, annotator.actor.user_id)
    assert visitor(app).get(first).status_code == 422, "the newest counts"
    assert annotator.browser.get("/account").status_code == 200, "until the link is used"
    person = visitor(app)
    assert annotator.actor.name in visible_text(person.get(link).text)
    code = link.rpartition("=")[2]
    refused = person.post("/login/reset", data={"code": code, "password": "short"})
    assert (refused.status_code, "at least 10" in visible_text(refused.text)) == (422, True)
    assert person.post("/login/reset", data={"code": code, "password": NEW}).headers["location"] == "/"
    assert person.get("/account").status_code == 200
    assert annotator.browser.get("/account").status_code == 303
    again = visitor(app).post("/login/reset", data={"code": code, "password": PASSWORD})
    assert (again.status_code, "used already" in visible_text(again.text)) == (422, True)
    assert sign_in(app, annotator.actor.name, NEW) is not None


def test_a_reset_link_expires_and_ends_with_the_account(
    app: FastAPI, admin: Person, annotator: Person
) -> None:
    link = reset_link(admin, annotator.actor.user_id)
    with transaction(app.state.engine) as session:
        user = session.exec(select(User).where(User.id == annotator.actor.user_id)).one()
        expires_at, user.reset_expires_at = user.reset_expires_at, utc_now() - timedelta(seconds=1)
        assert expires_at is not None
        assert timedelta(hours=23) < expires_at - utc_now() <= timedelta(hours=24)
    assert visitor(app).get(link).status_code == 422
    link = reset_link(admin, annotator.actor.user_id)
    path = f"/people/{annotator.actor.user_id}"
    for is_active in ("false", "true"):
        admin.browser.post(path, data={"is_active": is_active})
        assert visitor(app).get(link).status_code == 422
    admin.browser.post(path, data={"is_active": "false"})
    assert "Reopen it first" in visible_text(admin.browser.post(f"{path}/reset-link").text)
    own = admin.browser.post(f"/people/{admin.actor.user_id}/reset-link")
    assert (own.status_code, "Account page" in visible_text(own.text)) == (409, True)


@pytest.mark.parametrize("code", ["", "x", "ü", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
def test_a_code_that_nobody_was_given_opens_nothing(app: FastAPI, annotator: Person, code: str) -> None:
    for answer in (
        visitor(app).get("/login/reset", params={"code": code}),
        visitor(app).post("/login/reset", data={"code": code, "password": NEW}),
    ):
        assert answer.status_code == 422


def test_a_sign_in_with_a_password_that_is_reset_at_that_moment_fails(
    app: FastAPI, admin: Person, annotator: Person
) -> None:
    code = reset_link(admin, annotator.actor.user_id).rpartition("=")[2]

    class ResetMeanwhile(Attempts):
        """The link is used between the look at the password and the beginning of the session."""

        def succeeded(self, name: str) -> None:
            app.state.attempts = Attempts()
            assert visitor(app).post("/login/reset", data={"code": code, "password": NEW}).status_code == 303
            super().succeeded(name)

    app.state.attempts = ResetMeanwhile()
    assert sign_in(app, annotator.actor.name, PASSWORD) is None
    assert sign_in(app, annotator.actor.name, NEW) is not None
