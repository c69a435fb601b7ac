"""Secrets of an installation's first minutes: the setup code, one-time sign-in links, the local token.

They are files in the data folder, readable by its owner only: who can read them owns the installation anyway.
"""

import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlmodel import select

from app.accounts.models import LOCAL_USER, Role, User
from app.accounts.service import Actor, actor_of_token, create_token, hash_password
from app.core.database import reading, transaction

_SETUP_FILE: Final = "setup-code"
_LINK_FILE: Final = "sign-in-code"
_TOKEN_FILE: Final = "local-token"


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made beside and renamed: whoever reads meanwhile finds the old secret or the new one, never half of one.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read_secret(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def setup_code(data_dir: Path) -> str:
    """The code that lets the first visitor make the admin account."""
    path = data_dir / _SETUP_FILE
    if not _read_secret(path):
        _write_secret(path, secrets.token_urlsafe(12))
    return _read_secret(path)


def check_setup_code(data_dir: Path, code: str) -> bool:
    """Whether this is the code."""
    return hmac.compare_digest(setup_code(data_dir).encode(), code.strip().encode())


def new_sign_in_code(data_dir: Path) -> str:
    """A code for one sign-in as the local admin from a link in the terminal."""
    code = secrets.token_urlsafe(24)
    _write_secret(data_dir / _LINK_FILE, code)
    return code


def take_sign_in_code(data_dir: Path, code: str) -> bool:
    """Whether this is the code; a right one is used up."""
    path = data_dir / _LINK_FILE
    stored = _read_secret(path)
    if not stored or not hmac.compare_digest(stored.encode(), code.encode()):
        return False
    path.unlink(missing_ok=True)
    return True


def local_token(engine: Engine, data_dir: Path) -> str:
    """The token the command line uses on this machine; made, with its own user, when absent or unusable."""
    path = data_dir / _TOKEN_FILE
    stored = _read_secret(path)
    with reading(engine) as session:
        if stored and actor_of_token(session, stored):
            return stored
    # Nobody knows this password: the account is for the command line and sign-in links.
    password_hash = hash_password(secrets.token_urlsafe(32))
    with transaction(engine) as session:
        user = session.exec(select(User).where(User.name == LOCAL_USER)).first()
        if user is None:
            user = User(name=LOCAL_USER, password_hash=password_hash, role=Role.ADMIN)
        # Whoever reads this folder owns the installation, whatever became of its account.
        user.is_active, user.role = True, Role.ADMIN
        session.add(user)
        session.flush()
        assert user.id is not None
        actor = Actor(user.id, user.name, user.role, "session")
        secret = create_token(session, actor, name="command line", role=Role.ADMIN, days=None)[1]
    _write_secret(path, secret)
    return secret


def read_local_token(data_dir: Path) -> str:
    """The token as it stands on disk; empty when the server never ran here."""
    return _read_secret(data_dir / _TOKEN_FILE)
