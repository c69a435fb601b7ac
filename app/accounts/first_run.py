"""Secrets of an installation's first minutes: the setup code, one-time sign-in links, the local token.

They are files in the data folder, readable by its owner only: who can read them owns the installation anyway.
"""

import hmac
import os
import secrets
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from app.accounts.models import LOCAL_TOKEN, LOCAL_USER, ApiToken, Role, User
from app.accounts.passwords import unknown_hash
from app.accounts.service import Actor
from app.accounts.tokens import create_token, is_valid, token_of
from app.core.database import reading, transaction, utc_now
from app.files import remove_forgotten

_SETUP_FILE: Final = "setup-code"
_LINK_FILE: Final = "sign-in-code"
_TOKEN_FILE: Final = "local-token"
# Made anew when half of it is over, at the start of a server and once a day while it runs: a copy that was left in some
# backup is worth nothing soon, and nobody ever has to renew it by hand.
LOCAL_TOKEN_DAYS: Final = 30
# What a process was writing that was killed.
_FORGOTTEN_SECONDS: Final = 60.0


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made beside and renamed: whoever reads meanwhile finds the old secret or the new one, never half of one.
    prefix = f".{path.name}-"
    remove_forgotten(path.parent.glob(f"{prefix}*"), _FORGOTTEN_SECONDS)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, IsADirectoryError):
        return ""


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
    try:
        path.unlink()
    except FileNotFoundError:
        # Somebody else used it at the same moment.
        return False
    return True


def local_token(engine: Engine, data_dir: Path) -> str:
    """The token the command line uses on this machine; made, with its own user, when absent, unusable or past half of its
    life. The one before keeps its own end, so that what runs with it at this moment is not cut off.
    """
    path = data_dir / _TOKEN_FILE
    stored = _read_secret(path)
    with reading(engine) as session:
        token = token_of(session, stored) if stored else None
        if token and is_valid(token) and _lasts(token):
            return stored
    password_hash = unknown_hash()
    with transaction(engine) as session:
        actor = _local_actor(session, password_hash)
        _bound_endless_tokens(session, actor)
        secret = create_token(session, actor, name=LOCAL_TOKEN, days=LOCAL_TOKEN_DAYS)[1]
    _write_secret(path, secret)
    return secret


def _bound_endless_tokens(session: Session, actor: Actor) -> None:
    """Those of older installations get an end."""
    endless = select(ApiToken).where(ApiToken.user_id == actor.user_id, col(ApiToken.expires_at).is_(None))
    for token in session.exec(endless):
        token.expires_at = utc_now() + timedelta(days=LOCAL_TOKEN_DAYS)


def _lasts(token: ApiToken) -> bool:
    half = timedelta(days=LOCAL_TOKEN_DAYS / 2)
    return token.expires_at is not None and token.expires_at > utc_now() + half


def local_actor(engine: Engine) -> Actor:
    """The command line's own account, an administrator, made when absent: for commands that need no server."""
    password_hash = unknown_hash()
    with transaction(engine) as session:
        return _local_actor(session, password_hash)


def _local_actor(session: Session, password_hash: str) -> Actor:
    user = session.exec(select(User).where(User.name == LOCAL_USER)).first()
    if user is None:
        user = User(name=LOCAL_USER, name_key=LOCAL_USER, password_hash=password_hash, role=Role.ADMIN)
    # Whoever reads this folder owns the installation, whatever became of its account.
    user.is_active, user.role = True, Role.ADMIN
    session.add(user)
    session.flush()
    assert user.id is not None
    return Actor(user.id, user.name, user.role, "session")


def read_local_token(data_dir: Path) -> str:
    """The token as it stands on disk; empty when the server never ran here."""
    return _read_secret(data_dir / _TOKEN_FILE)
