"""Admins add people, change roles and close accounts; nobody else may, and nobody locks themselves out."""

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts.first_run import local_actor, local_token
from app.accounts.models import Role
from app.accounts.service import change_user
from app.core.database import transaction
from app.core.errors import Conflict
from tests.support.people import Person, make_person, visible_text

MEI = {"name": "Mei", "password": "a long password", "role": "reviewer"}


def test_an_admin_adds_a_person_who_can_then_sign_in(app: FastAPI, admin: Person) -> None:
    assert admin.browser.post("/people", data=MEI).status_code == 303
    assert "Mei" in visible_text(admin.browser.get("/people").text)
    mei = TestClient(app, follow_redirects=False)
    assert mei.post("/login", data=MEI).headers["location"] == "/"
    assert mei.get("/account").headers["location"] == "/account/password?next=/account"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": "short"}, "at least 10 characters"),
        ({"name": " "}, "1 to 80 characters"),
        ({"name": "test admin"}, "is taken"),
        ({"name": "TEST Admin"}, "is taken"),
        ({"name": "Local"}, "is taken"),
        ({"name": "Mei\u200b"}, "U+200B"),
        ({"name": "Mei\u202e"}, "U+202E"),
    ],
)
def test_a_mistake_is_named_beside_its_field_and_the_rest_is_kept(
    admin: Person, change: dict[str, str], says: str
) -> None:
    page = admin.browser.post("/people", data={**MEI, **change})
    assert page.status_code in {409, 422}
    assert says in visible_text(page.text)
    assert '<option value="reviewer" selected>' in page.text


def test_a_closed_account_is_signed_out_at_once_and_can_be_reopened(admin: Person, annotator: Person) -> None:
    path = f"/people/{annotator.actor.user_id}"
    assert admin.browser.post(path, data={"is_active": "false"}).status_code == 303
    assert annotator.browser.get("/account").status_code == 303
    assert annotator.api.get("/api/v1/datasets").status_code == 401
    admin.browser.post(path, data={"is_active": "true"})
    assert annotator.api.get("/api/v1/datasets").status_code == 401
    assert annotator.browser.get("/account").status_code == 303
    assert "test annotator" in visible_text(admin.browser.get("/people").text)


def test_a_lower_role_takes_the_rights_of_tokens_with_it(admin: Person, engineer: Person) -> None:
    assert (
        engineer.api.post("/api/v1/base-models", json={"source": "hub", "reference": ""}).status_code == 422
    )
    admin.browser.post(f"/people/{engineer.actor.user_id}", data={"role": "annotator"})
    assert (
        engineer.api.post("/api/v1/base-models", json={"source": "hub", "reference": ""}).status_code == 403
    )


def test_nobody_changes_their_own_account(admin: Person) -> None:
    refused = admin.browser.post(f"/people/{admin.actor.user_id}", data={"is_active": "false"})
    assert refused.status_code == 409
    assert admin.browser.get("/people").status_code == 200


def test_only_admins_see_the_page(engineer: Person) -> None:
    assert engineer.browser.get("/people").status_code == 403
    assert engineer.browser.post("/people", data=MEI).status_code == 403


def test_the_account_of_the_command_line_is_neither_closed_nor_demoted(app: FastAPI, admin: Person) -> None:
    secret = local_token(app.state.engine, app.state.settings.data_dir)
    client = TestClient(app, headers={"Authorization": f"Bearer {secret}"})
    people = admin.api.get("/api/v1/people").json()
    local = next(one["id"] for one in people if one["name"] == "local")
    for change in ({"is_active": False}, {"role": "annotator"}):
        refused = admin.browser.patch(f"/api/v1/people/{local}", json=change)
        assert (refused.status_code, "command line" in refused.text) == (409, True)
    assert admin.browser.post(f"/api/v1/people/{local}/reset-link").status_code == 409
    assert client.get("/api/v1/me").json()["role"] == "admin"


def test_a_role_is_changed_on_choice_and_the_row_says_what_is_stored(
    admin: Person, annotator: Person
) -> None:
    path, htmx = f"/people/{annotator.actor.user_id}", {"HX-Request": "true"}
    row = admin.browser.post(path, data={"role": "engineer"}, headers=htmx)
    assert row.status_code == 200
    assert row.text.lstrip().startswith(f'<tr id="person-{annotator.actor.user_id}">')
    assert '<option value="engineer" selected>' in row.text
    assert json.loads(row.headers["hx-trigger"])["toast"]["message"] == (
        "The role of test annotator is Engineer now."
    )
    own = admin.browser.post(f"/people/{admin.actor.user_id}", data={"role": "annotator"}, headers=htmx)
    assert json.loads(own.headers["hx-trigger"])["toast"]["kind"] == "error"
    assert "Administrator" in visible_text(own.text)


def test_the_last_administrator_stays_one_whoever_asks(app: FastAPI, admin: Person) -> None:
    local = local_actor(app.state.engine)
    with transaction(app.state.engine) as session:
        for change in ({"is_active": False}, {"role": Role.REVIEWER}):
            with pytest.raises(Conflict, match="last administrator"):
                change_user(session, local, admin.actor.user_id, **change)  # type: ignore[arg-type]
    other = make_person(app, Role.ADMIN, "Lin")
    assert (
        other.browser.post(f"/people/{admin.actor.user_id}", data={"is_active": "false"}).status_code == 303
    )
