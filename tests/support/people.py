"""Signed-in browsers and API clients for tests."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from app.accounts.access import SESSION_COOKIE
from app.accounts.models import Role, Scope, User
from app.accounts.passwords import hash_password
from app.accounts.service import Actor, create_user
from app.accounts.sessions import csrf_token_of, start_login
from app.accounts.tokens import create_token
from app.core.database import transaction

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    """One user with a token client (`api`) and a browser client (`browser`)."""

    actor: Actor
    api: TestClient
    browser: TestClient
    csrf_token: str


@cache
def _password_hash() -> str:
    return hash_password(PASSWORD)


def make_person(app: FastAPI, role: Role, name: str | None = None, *, scope: Scope = Scope.ALL) -> Person:
    """A user of this role in the app's database, signed in both ways."""
    engine: Engine = app.state.engine
    name = name or f"test {role.value}"
    password_hash = _password_hash()
    with transaction(engine) as session:
        user = session.exec(select(User).where(User.name == name)).first()
        if user is None:
            user = create_user(session, name=name, password_hash=password_hash, role=role)
        assert user.id is not None
        actor = Actor(user.id, user.name, user.role, "session")
        token = create_token(session, actor, name="test", scope=scope)[1]
        secret = start_login(session, user.id, days=1)
    api = TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)
    csrf = csrf_token_of(secret)
    browser = TestClient(
        app,
        cookies={SESSION_COOKIE: secret},
        headers={"X-CSRF-Token": csrf, "Accept-Language": "en"},
        raise_server_exceptions=False,
        follow_redirects=False,
    )
    return Person(actor, api, browser, csrf)


def visible_text(html: str) -> str:
    """Text of a page without tags, white space folded: what a person could read."""
    without = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", without).split())


def problem_of(response: Any) -> str:
    """The `detail` of a problem document."""
    detail: str = response.json()["detail"]
    return detail
