"""`sft-studio people`: accounts from the server's own machine, without a server and without a token.

Whoever may open the installation's database owns the installation, so nobody is asked for a password here: this is the
way back for an administrator who lost theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.accounts import first_run, passwords, service
from app.accounts.models import Role, User
from app.cli.options import JsonOption
from app.cli.serve import local_url
from app.core.console import CommandFailed, Id, load_settings, print_json, print_table, say
from app.core.database import reading, transaction
from app.core.i18n import gettext as _
from app.core.settings import Settings

app = typer.Typer(
    help=_("Add people, change roles, reset passwords: on the server's own machine."), no_args_is_help=True
)
NameArgument = Annotated[str, typer.Argument(help=_("Name of the person."))]
AtOption = Annotated[
    str, typer.Option("--at", help=_("Address by which people reach the server, for links."))
]


@app.command("list", help=_("List the people."))
def list_people(as_json: JsonOption = False) -> None:
    """Command `people list`."""
    with _database() as (_settings, engine), reading(engine) as session:
        found = [_said(user) for user in service.list_users(session)]
    if as_json:
        print_json(found)
        return
    columns = list(_COLUMNS)
    print_table(columns, [[Id(person["id"]), *(person[name] for name in columns[1:])] for person in found])


@app.command("add", help=_("Add a person; prints the link with which they set their password."))
def add(
    name: NameArgument,
    role: Annotated[Role, typer.Option("--role", help=_("What the person may do."))] = Role.ANNOTATOR,
    at: AtOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `people add`."""
    with _database() as (settings, engine):
        actor, unknown = first_run.local_actor(engine), passwords.unknown_hash()
        with transaction(engine) as session:
            user = service.add_person(session, actor, name=name, password_hash=unknown, role=role)
            user, code = passwords.new_reset_link(session, actor, user.id or 0)
        _hand_over(settings, at, user, code, as_json)


@app.command("reset-password", help=_("Print a link with which a person sets a new password, once."))
def reset_password(name: NameArgument, at: AtOption = "", as_json: JsonOption = False) -> None:
    """Command `people reset-password`."""
    with _database() as (settings, engine):
        actor = first_run.local_actor(engine)
        with transaction(engine) as session:
            user, code = passwords.new_reset_link(session, actor, _require(session, name))
        _hand_over(settings, at, user, code, as_json)


@app.command("role", help=_("Give a person another role."))
def role(
    name: NameArgument,
    role: Annotated[Role, typer.Argument(help=_("What the person may do."))],
    as_json: JsonOption = False,
) -> None:
    """Command `people role`."""
    _change(name, as_json, role=role)


@app.command("close", help=_("Close an account: its sign-ins and tokens end."))
def close(name: NameArgument, as_json: JsonOption = False) -> None:
    """Command `people close`."""
    _change(name, as_json, is_active=False)


@app.command("reopen", help=_("Reopen an account that was closed."))
def reopen(name: NameArgument, as_json: JsonOption = False) -> None:
    """Command `people reopen`."""
    _change(name, as_json, is_active=True)


_COLUMNS = ("id", "name", "role", "is_active", "must_change_password", "seen_at")


@contextmanager
def _database() -> Iterator[tuple[Settings, Engine]]:
    from app.serving import preflight

    settings = load_settings()
    preflight.check_data_folder(settings.data_dir)
    engine = preflight.open_database(settings)
    try:
        preflight.check_schema(engine)
        yield settings, engine
    finally:
        engine.dispose()


def _require(session: Session, name: str) -> int:
    user_id = session.exec(select(User.id).where(User.name == name.strip())).first()
    if user_id is None:
        raise CommandFailed(
            _("There is nobody named “%(name)s”. See: sft-studio people list.") % {"name": name}
        )
    return user_id


def _change(name: str, as_json: bool, **wanted: Any) -> None:
    with _database() as (_settings, engine):
        actor = first_run.local_actor(engine)
        with transaction(engine) as session:
            found = _said(service.change_user(session, actor, _require(session, name), **wanted))
    if as_json:
        print_json(found)
    else:
        say(
            _("%(name)s: %(role)s, %(state)s")
            % {
                "name": found["name"],
                "role": found["role"],
                "state": _("open") if found["is_active"] else _("closed"),
            }
        )


def _hand_over(settings: Settings, at: str, user: User, code: str, as_json: bool) -> None:
    link = f"{at.rstrip('/') or local_url(settings)}{passwords.reset_path(code)}"
    if as_json:
        print_json({**_said(user), "link": link})
        return
    say(
        _("%(name)s sets a new password here, once, within %(hours)d hours:")
        % {"name": user.name, "hours": passwords.RESET_LINK_HOURS}
    )
    typer.echo(link)


def _said(user: User) -> dict[str, Any]:
    seen = user.seen_at.isoformat() if user.seen_at else None
    return {**user.model_dump(include=set(_COLUMNS)), "role": user.role.value, "seen_at": seen}
