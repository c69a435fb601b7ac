"""Signing in: first run, password, link from the terminal, sign out, API tokens."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts import first_run
from app.core.settings import Settings
from tests.support.people import Person, visible_text


@pytest.fixture
def visitor(app: FastAPI) -> TestClient:
    return TestClient(
        app, follow_redirects=False, raise_server_exceptions=False, headers={"Accept-Language": "en"}
    )


def test_a_fresh_installation_leads_to_its_first_run_page(visitor: TestClient) -> None:
    assert visitor.get("/login").headers["location"] == "/setup"
    assert visitor.get("/setup").status_code == 200


def test_the_first_admin_needs_the_code_from_the_terminal(visitor: TestClient, settings: Settings) -> None:
    form = {"name": "Ada", "password": "a long password", "code": "wrong"}
    refused = visitor.post("/setup", data=form)
    assert refused.status_code == 422
    assert "The setup code is wrong" in visible_text(refused.text)
    accepted = visitor.post("/setup", data={**form, "code": first_run.setup_code(settings.data_dir)})
    assert accepted.status_code == 303
    assert visitor.get("/account").status_code == 200
    assert visitor.post("/setup", data=form).status_code in {403, 409}


def test_a_short_password_is_refused_with_the_reason_and_the_name_is_kept(
    visitor: TestClient, settings: Settings
) -> None:
    form = {"name": "Ada", "password": "short", "code": first_run.setup_code(settings.data_dir)}
    page = visitor.post("/setup", data=form)
    assert page.status_code == 422
    assert "at least 10 characters" in visible_text(page.text)
    assert 'value="Ada"' in page.text


def test_a_wrong_password_says_so_without_naming_which_part(visitor: TestClient, admin: Person) -> None:
    for name, password in ((admin.actor.name, "wrong"), ("nobody", "wrong")):
        page = visitor.post("/login", data={"name": name, "password": password})
        assert page.status_code == 401
        assert "Name or password is wrong." in visible_text(page.text)


def test_signing_in_leads_on_but_never_to_another_site(visitor: TestClient, admin: Person) -> None:
    form = {"name": admin.actor.name, "password": "correct horse battery"}
    assert visitor.post("/login", data={**form, "next": "/runs"}).headers["location"] == "/runs"
    for target in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"):
        fresh = TestClient(visitor.app, follow_redirects=False)
        assert fresh.post("/login", data={**form, "next": target}).headers["location"] == "/"


def test_signing_out_ends_the_session_on_the_server(admin: Person) -> None:
    assert admin.browser.get("/account").status_code == 200
    admin.browser.post("/logout")
    assert admin.browser.get("/account").status_code == 303


def test_a_sign_in_link_works_once_and_only_after_a_click(
    app: FastAPI, visitor: TestClient, settings: Settings
) -> None:
    first_run.local_token(app.state.engine, settings.data_dir)
    code = first_run.new_sign_in_code(settings.data_dir)
    assert visitor.get(f"/login/link?code={code}").status_code == 200
    assert visitor.get("/account").status_code == 303
    assert visitor.post("/login/link", data={"code": code}).status_code == 303
    assert visitor.get("/account").status_code == 200
    assert TestClient(app).post("/login/link", data={"code": code}).status_code == 422


def test_the_local_token_works_and_is_kept(app: FastAPI, settings: Settings) -> None:
    secret = first_run.local_token(app.state.engine, settings.data_dir)
    assert first_run.local_token(app.state.engine, settings.data_dir) == secret
    assert (settings.data_dir / "local-token").stat().st_mode & 0o077 == 0
    client = TestClient(app, headers={"Authorization": f"Bearer {secret}"})
    assert client.get("/api/v1/datasets").json() == []


def test_a_token_is_shown_once_and_ends_when_revoked(app: FastAPI, engineer: Person) -> None:
    made = engineer.browser.post("/account/tokens", data={"name": "ci", "scope": "train"})
    assert (made.status_code, made.headers["location"]) == (303, "/account")
    page = engineer.browser.get("/account")
    secret = page.text.split("sft_", 1)[1].split("<", 1)[0].split('"', 1)[0]
    client = TestClient(app, headers={"Authorization": f"Bearer sft_{secret}"})
    assert client.get("/api/v1/datasets").status_code == 200
    # Reloading makes no second one, and shows the first no more.
    again = engineer.browser.get("/account")
    assert f"sft_{secret}" not in again.text
    assert again.text.count("/revoke") == 2
    engineer.browser.post("/account/tokens/2/revoke")
    assert client.get("/api/v1/datasets").status_code == 401


def test_a_token_cannot_have_more_rights_than_its_owner(annotator: Person) -> None:
    refused = annotator.browser.post("/account/tokens", data={"name": "ci", "scope": "train"})
    assert refused.status_code == 422
    assert "more rights than you have" in visible_text(refused.text)


def test_of_many_who_use_a_link_at_the_same_moment_one_signs_in(tmp_path: Path) -> None:
    at_once = 4
    with ThreadPoolExecutor(at_once) as pool:
        for _ in range(50):
            code, gate = first_run.new_sign_in_code(tmp_path), Barrier(at_once)

            def use(code: str = code, gate: Barrier = gate) -> bool:
                gate.wait(60)
                return first_run.take_sign_in_code(tmp_path, code)

            assert sum(one.result(60) for one in [pool.submit(use) for _ in range(at_once)]) == 1
