"""What accounts ask of the database, on SQLite and on PostgreSQL alike."""

import pytest
from sqlalchemy import Engine, event
from sqlmodel import col, select

from app.accounts import audit, passwords, sessions, tokens
from app.accounts.activity import Activity
from app.accounts.audit import AuditFilter
from app.accounts.models import LoginSession, Role, Scope, User
from app.accounts.service import Actor, add_person, change_user, create_user
from app.core.database import build_engine, reading, transaction
from app.core.errors import Conflict, Invalid
from app.core.migrations import downgrade, upgrade
from app.core.settings import Settings


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


@pytest.mark.servers
def test_of_two_additions_at_the_same_moment_one_gets_the_name_in_whatever_case(postgres_url: str) -> None:
    engine = build_engine(Settings(database_url=postgres_url).resolved_database_url)
    upgrade(engine)

    def add_first(*_event: object) -> None:
        with transaction(engine) as first:
            create_user(first, name="Mei", password_hash="", role=Role.REVIEWER)

    with transaction(engine) as second:
        event.listen(second, "before_flush", add_first, once=True)
        with pytest.raises(Conflict, match="is taken"):
            create_user(second, name="MEI", password_hash="", role=Role.REVIEWER)
        second.rollback()
    engine.dispose()


def test_people_from_before_whose_names_look_the_same_keep_them(engine: Engine) -> None:
    downgrade(engine, "0013")
    with engine.begin() as connection:
        for name in ("Mei", "Bo", "MEI"):
            connection.exec_driver_sql(
                "INSERT INTO user_account (name, password_hash, role, is_active, created_at) "
                f"VALUES ('{name}', '', 'reviewer', true, '2026-01-01 00:00:00')"
            )
    upgrade(engine)
    with reading(engine) as session:
        people = [(user.name, user.name_key) for user in session.exec(select(User).order_by(col(User.id)))]
    assert people == [("Mei", "mei"), ("Bo", "bo"), ("MEI", None)]
    with transaction(engine) as session, pytest.raises(Conflict):
        create_user(session, name="mei", password_hash="", role=Role.REVIEWER)
