"""`sft-studio people`: accounts from the server's own machine, without a server; the way back for a locked-out admin."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import col, select

from app.accounts.models import AuditEvent
from app.core.database import reading
from app.core.settings import Settings
from tests.cli.conftest import Outcome, in_this_process
from tests.support.people import Person


@pytest.fixture
def data_dir(app: FastAPI, settings: Settings) -> Path:
    """Of an installation whose server does not run."""
    return settings.data_dir


def people(data_dir: Path, *arguments: str) -> Outcome:
    return in_this_process("people", *arguments, data_dir=data_dir)


def test_an_administrator_who_is_locked_out_gets_a_link(app: FastAPI, admin: Person, data_dir: Path) -> None:
    done = people(data_dir, "reset-password", admin.actor.name, "--at", "https://studio.example/")
    assert (done.code, done.stdout.count("\n")) == (0, 1), done.stderr
    assert done.stdout.startswith("https://studio.example/login/reset?code=")
    code = done.stdout.strip().rpartition("=")[2]
    visitor = TestClient(app, follow_redirects=False)
    form = {"code": code, "password": "another long password"}
    assert visitor.post("/login/reset", data=form).status_code == 303
    assert visitor.get("/people").status_code == 200
    with reading(app.state.engine) as session:
        statement = select(AuditEvent).where(col(AuditEvent.action) == "password.reset_link")
        assert session.exec(statement).one().actor == "local"


def test_people_are_added_changed_and_closed(app: FastAPI, admin: Person, data_dir: Path) -> None:
    made = people(data_dir, "add", "Mei", "--role", "reviewer", "--json").json
    assert (made["name"], made["role"], made["must_change_password"]) == ("Mei", "reviewer", True)
    assert TestClient(app).get(made["link"].replace("http://127.0.0.1:8000", "")).status_code == 200
    assert people(data_dir, "role", "Mei", "engineer", "--json").json["role"] == "engineer"
    assert people(data_dir, "close", "Mei", "--json").json["is_active"] is False
    assert people(data_dir, "reopen", "Mei").code == 0
    listed = {one["name"]: one["role"] for one in people(data_dir, "list", "--json").json}
    assert listed == {admin.actor.name: "admin", "Mei": "engineer", "local": "admin"}
    assert "Mei" in people(data_dir, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reset-password", "Nobody"), "nobody named “Nobody”"),
        (("add", "TEST admin"), "is taken"),
        (("close", "test admin"), "last administrator"),
        (("role", "local", "annotator"), "“local”"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    admin: Person, data_dir: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert people(data_dir, "list").code == 0
    done = people(data_dir, *arguments)
    assert (done.code, said in done.error) == (1, True), done.stderr
