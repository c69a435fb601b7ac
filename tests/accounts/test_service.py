"""What accounts ask of the database, on SQLite and on PostgreSQL alike."""

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.accounts import audit, passwords, sessions, tokens
from app.accounts.activity import Activity
from app.accounts.audit import AuditFilter
from app.accounts.models import LoginSession, Role, Scope, User
from app.accounts.service import Actor, add_person, change_user, create_user
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid


@pytest.fixture
def admin(engine: Engine) -> Actor:
    """The only administrator, signed in."""
    with transaction(engine) as session:
        user = create_user(session, name="Ada", password_hash="", role=Role.ADMIN)
        secret = sessions.start_login(session, user.id or 0, days=1, address="192.0.2.1", agent="x" * 300)
        session.flush()
        found = sessions.actor_of_cookie(session, secret)
    assert found is not None
    return found


def test_a_persons_days_from_the_link_to_the_end_of_the_account(engine: Engine, admin: Actor) -> None:
    with transaction(engine) as session:
        mei = add_person(session, admin, name="Mei", password_hash="", role=Role.ADMIN)
        assert mei.id is not None
        code = passwords.new_reset_link(session, admin, mei.id)[1]
    with transaction(engine) as session:
        passwords.reset_password(session, code, "hash")
        secret = sessions.start_login(session, mei.id, days=1)
    with transaction(engine) as session, pytest.raises(Invalid):
        passwords.reset_password(session, code, "other")
    activity = Activity()
    with transaction(engine) as session:
        actor = sessions.actor_of_cookie(session, secret)
        assert actor is not None
        bearer = tokens.actor_of_token(
            session, tokens.create_token(session, actor, name="ci", scope=Scope.TRAIN)[1]
        )
        assert bearer is not None
    for one in (actor, bearer):
        activity.note(one, "192.0.2.9")
    activity.store(engine)
    with reading(engine) as session:
        assert [login.address for login in sessions.list_logins(session, actor)] == ["192.0.2.9"]
        assert tokens.list_tokens(session, actor)[0].seen_at is not None
        assert session.get_one(User, mei.id).seen_at is not None
    with transaction(engine) as session:
        change_user(session, admin, mei.id, is_active=False)
        with pytest.raises(Conflict, match="last administrator"):
            change_user(session, actor, admin.user_id, role=Role.REVIEWER)
    with reading(engine) as session:
        assert sessions.actor_of_cookie(session, secret) is None
        assert [login.user_id for login in session.exec(select(LoginSession))] == [admin.user_id]
        done = audit.find_events(session, AuditFilter(subject=f"user/{mei.id}"))
        assert [event.action for event in done] == ["user.close", "password.reset_link", "user.add"]
        assert audit.known_actions(session) == [
            "password.reset_link",
            "token.create",
            "user.add",
            "user.close",
        ]
