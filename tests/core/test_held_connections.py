"""The watch over held connections sees what it is there for."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.accounts import passwords
from app.core.database import let_go, reading, transaction
from tests.support import held_connections

SLOW = {
    "a file is read": "import app.files; app.files.file_sha256(path)",
    "a folder is removed": "import shutil; shutil.rmtree(path.parent)",
    "a file is copied": "import shutil; shutil.copyfile(path, f'{path}.copy')",
    "a process is run": "import subprocess; subprocess.run(['true'])",
    "another machine is asked": "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
    "another thread is waited for": "import threading; threading.Event().wait(0.01)",
}


@pytest.fixture
def found() -> list[str]:
    return held_connections.found


def test_a_password_hashed_in_a_transaction_is_found(engine: Engine, found: list[str]) -> None:
    with transaction(engine) as session:
        session.execute(text("SELECT 1"))
        passwords.hash_password("correct horse battery")
    assert [line for line in found if "a password is hashed" in line and "hash_password" in line]
    found.clear()
    passwords.hash_password("correct horse battery")
    assert found == []


def test_a_reading_session_that_let_go_holds_nothing_and_reads_on(engine: Engine, found: list[str]) -> None:
    with reading(engine) as session:
        session.execute(text("SELECT 1"))
        let_go(session)
        passwords.hash_password("correct horse battery")
        assert found == []
        session.execute(text("SELECT 1"))
        passwords.hash_password("correct horse battery")
    assert found
    found.clear()


@pytest.mark.parametrize("code", SLOW.values(), ids=SLOW)
def test_what_is_slow_in_a_service_that_a_route_calls_is_found(
    engine: Engine, found: list[str], tmp_path: Path, code: str
) -> None:
    """As if modules of the program did it: one asks, the other works."""
    folder = tmp_path / "stored"
    folder.mkdir()
    (folder / "file").write_text("many bytes")
    program = held_connections.ROOT / "app"
    service = compile(f"def work(path):\n    {code}", str(program / "planted" / "service.py"), "exec")
    route = compile("def answer(path):\n    work(path)", str(program / "planted" / "api.py"), "exec")
    names: dict[str, Any] = {}
    exec(service, names)
    exec(route, names)
    with transaction(engine) as session:
        session.execute(text("SELECT 1"))
        names["answer"](folder / "file")
    assert [line for line in found if "service.py" in line and "api.py" in line]
    found.clear()
    (folder / "file").parent.mkdir(exist_ok=True)
    (folder / "file").write_text("again")
    names["answer"](folder / "file")
    assert found == []
