"""Changing one's own password, at either door: the old one is asked, and guesses at it are limited as those at sign-in."""

from sqlalchemy import Engine

from app.accounts.passwords import hash_password, password_fits, set_password, stored_hash
from app.accounts.service import Actor
from app.accounts.sign_in import Attempts
from app.core.database import reading
from app.core.errors import Invalid
from app.sentences import N_


def change_password(
    engine: Engine,
    attempts: Attempts,
    actor: Actor,
    *,
    old: str,
    password: str,
    end_others: bool,
    address: str,
) -> None:
    """Raises Invalid, which names `old` or `password`, TooMany, and Conflict where it was changed meanwhile. No
    transaction is open while a password is hashed.
    """
    with reading(engine) as session:
        before = stored_hash(session, actor.user_id)
    attempts.begin(actor.name, address)
    if not password_fits(before, old):
        attempts.failed(address)
        raise Invalid(N_("This is not your password until now."), field="old")
    attempts.succeeded(actor.name)
    if password == old:
        raise Invalid(N_("Choose another password than the one until now."), field="password")
    password_hash = hash_password(password)
    set_password(engine, actor, before=before, password_hash=password_hash, end_others=end_others)
