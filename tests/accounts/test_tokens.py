"""Tokens: for a scope, never above their owner, shown with how to use them; the command line's own is renewed."""

from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import col, select

from app.accounts.first_run import LOCAL_TOKEN_DAYS, local_token
from app.accounts.models import ApiToken, Role, Scope, User
from app.accounts.permissions import offered_scopes
from app.accounts.upkeep import renew_local_token
from app.core.database import reading, transaction, utc_now
from tests.support.people import Person, make_person, visible_text


def test_a_token_does_what_its_scope_covers_and_says_what_it_lacks(app: FastAPI) -> None:
    reader = make_person(app, Role.ENGINEER, scope=Scope.READ)
    assert reader.api.get("/api/v1/me").json()["scope"] == "read"
    assert reader.api.get("/api/v1/datasets").status_code == 200
    refused = reader.api.post("/api/v1/datasets", json={"name": "Calls"})
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "This token was made for less (dataset.create). Make one that may on the Account page.",
    )
    curator = make_person(app, Role.ENGINEER, scope=Scope.CURATE)
    assert curator.api.post("/api/v1/datasets", json={"name": "Calls"}).status_code == 201
    assert curator.api.post("/api/v1/datasets/1/versions").status_code == 403
    assert curator.api.delete("/api/v1/datasets/1").status_code == 403


def test_a_token_that_holds_no_more_says_why_and_what_to_do_in_both_languages(app: FastAPI) -> None:
    def told(client: TestClient, language: str = "en", **headers: str) -> str:
        answer = client.get("/api/v1/datasets", headers={"Accept-Language": language, **headers})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        detail: str = answer.json()["detail"]
        return detail

    person = make_person(app, Role.ENGINEER, "Li")

    def change(**values: Any) -> None:
        with transaction(app.state.engine) as session:
            token = session.exec(select(ApiToken).where(ApiToken.name == "test")).one()
            for name, value in values.items():
                setattr(token, name, value)
            session.add(token)

    past = utc_now() - timedelta(days=1)
    change(expires_at=past)
    day = f"{past:%Y-%m-%d}"
    assert told(person.api) == f"The API token “test” expired on {day}. Make a new one on the Account page."
    assert told(person.api, "zh-CN") == f"API 令牌“test”已于 {day} 过期。请在账号页面创建新的令牌。"
    change(revoked_at=past)
    assert (
        told(person.api) == f"The API token “test” was revoked on {day}. Make a new one on the Account page."
    )
    assert told(person.api, "zh-CN") == f"API 令牌“test”已于 {day} 被吊销。请在账号页面创建新的令牌。"
    with transaction(app.state.engine) as session:
        user = session.get_one(User, person.actor.user_id)
        user.is_active = False
        session.add(user)
    assert told(person.api) == "The account of the API token “test” is closed. Ask an admin."
    assert told(person.api, Authorization="Bearer sft_other").startswith("Nobody has this API token.")
    assert "Bearer sft_" in told(person.api, Authorization="Basic c2Z0")


def test_scopes_that_a_role_cannot_fill_are_not_offered(annotator: Person, engineer: Person) -> None:
    assert offered_scopes(Role.REVIEWER) == [Scope.READ, Scope.CURATE, Scope.ALL]
    assert 'value="train"' not in annotator.browser.get("/account").text
    assert 'value="train"' in engineer.browser.get("/account").text


def test_a_new_token_comes_with_a_command_that_uses_it_and_a_mistake_keeps_what_was_typed(
    engineer: Person,
) -> None:
    refused = engineer.browser.post("/account/tokens", data={"name": " ", "scope": "curate", "days": "30"})
    assert (refused.status_code, "1 to 80 characters" in visible_text(refused.text)) == (422, True)
    assert 'value="curate" checked' in " ".join(refused.text.split()) or 'value="curate"' in refused.text
    engineer.browser.post("/account/tokens", data={"name": "ci", "scope": "curate", "days": "30"})
    page = visible_text(engineer.browser.get("/account").text)
    assert "$SFT_STUDIO_TOKEN" in page
    assert "http://testserver/api/v1/me" in page


def test_a_higher_role_gives_older_tokens_nothing(app: FastAPI, admin: Person, annotator: Person) -> None:
    admin.browser.post(f"/people/{annotator.actor.user_id}", data={"role": "engineer"})
    assert annotator.api.get("/api/v1/me").json()["role"] == "annotator"
    assert make_person(app, Role.ENGINEER, annotator.actor.name).api.get("/api/v1/me").json()["role"] == (
        "engineer"
    )


def test_a_token_ends_itself_and_no_other(app: FastAPI, annotator: Person) -> None:
    second = make_person(app, Role.ANNOTATOR)
    mine, others = (one["id"] for one in annotator.api.get("/api/v1/tokens").json()[::-1])
    assert annotator.api.delete(f"/api/v1/tokens/{others}").status_code == 403
    assert annotator.api.delete(f"/api/v1/tokens/{mine}").status_code == 204
    assert annotator.api.get("/api/v1/me").status_code == 401
    assert second.browser.delete(f"/api/v1/tokens/{others}").status_code == 204
    assert second.api.get("/api/v1/me").status_code == 401


def test_the_command_lines_token_has_an_end_and_is_renewed_before_it(app: FastAPI) -> None:
    engine, folder = app.state.engine, app.state.settings.data_dir
    renew_local_token(engine, folder)
    assert not (folder / "local-token").exists(), "only where a command line has one"
    first = local_token(engine, folder)
    with transaction(engine) as session:
        token = session.exec(select(ApiToken)).one()
        assert token.expires_at is not None
        assert token.expires_at <= utc_now() + timedelta(days=LOCAL_TOKEN_DAYS)
        token.expires_at = utc_now() + timedelta(days=LOCAL_TOKEN_DAYS / 2 - 1)
    renew_local_token(engine, folder)
    second = local_token(engine, folder)
    assert second != first
    for secret in (first, second):
        client = TestClient(app, headers={"Authorization": f"Bearer {secret}"})
        assert client.get("/api/v1/me").status_code == 200, "what runs with the older one goes on"


def test_an_endless_token_of_an_older_installation_gets_an_end(app: FastAPI) -> None:
    engine, folder = app.state.engine, app.state.settings.data_dir
    local_token(engine, folder)
    with transaction(engine) as session:
        session.exec(select(ApiToken)).one().expires_at = None
    local_token(engine, folder)
    with reading(engine) as session:
        assert session.exec(select(ApiToken).where(col(ApiToken.expires_at).is_(None))).all() == []
