"""People: who acts, under which name, with which role; and the lines of the audit trail."""

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from app.accounts.models import LOCAL_USER, ApiToken, AuditEvent, LoginSession, Role, Scope, User
from app.accounts.permissions import Permission, allows, covers, refusal, scope_refusal
from app.accounts.who import NAME_LENGTH, Who
from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.core.names import refuse_unseen
from app.sentences import N_

# Controls, marks of writing direction, joiners, line ends, and what is no character.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True)
class Actor:
    """Who makes a request: a person in a browser or a script with a token."""

    user_id: int
    name: str
    role: Role
    via: Literal["session", "token"]
    token_id: int | None = None
    # What a token is for; a browser has no less than its role.
    scope: Scope = Scope.ALL
    login_id: int | None = None
    must_change_password: bool = False

    @property
    def who(self) -> Who:
        """As rows keep it."""
        return Who(self.name[:NAME_LENGTH], self.user_id, self.token_id)

    @property
    def display_name(self) -> str:
        """Name shown in the page."""
        return self.name

    def may(self, permission: Permission) -> bool:
        """Whether the table of permissions lets this one do it."""
        return allows(self.role, permission) and (self.via == "session" or covers(self.scope, permission))

    def require(self, permission: Permission) -> None:
        """Raises Refused, naming the role that is needed or what the token lacks."""
        if not allows(self.role, permission):
            raise refusal(permission, of_token=self.via == "token")
        if not self.may(permission):
            raise scope_refusal(permission)


# Of a secret that this program draws: 256 bit.
SECRET_BYTES: Final = 32


def digest(secret: str) -> str:
    """What is stored of a cookie's, token's or link's secret: 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def readable_name(name: str) -> str:
    """Of a person or a token, as it is stored. Raises Invalid for one that does not show what it is."""
    name = name.strip()
    if not name or len(name) > NAME_LENGTH:
        raise Invalid(N_("Enter a name of 1 to 80 characters."), field="name")
    refuse_unseen(name, _UNSEEN)
    return name


def name_key(name: str) -> str:
    """Two names with one key are one name to a reader."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def create_user(
    session: Session, *, name: str, password_hash: str, role: Role, must_change_password: bool = False
) -> User:
    """Add a person. Raises Invalid for an empty or long name or one with characters that nobody sees, Conflict for one
    that is taken, in whatever case it is written.
    """
    name = readable_name(name)
    taken = {name_key(other) for other in session.exec(select(User.name))} | {LOCAL_USER}
    if name_key(name) in taken:
        raise _taken(name)
    user = User(
        name=name,
        name_key=name_key(name),
        password_hash=password_hash,
        role=role,
        must_change_password=must_change_password,
    )
    session.add(user)
    try:
        session.flush()
    except IntegrityError:
        # Two additions at the same moment.
        raise _taken(name) from None
    return user


def _taken(name: str) -> Conflict:
    return Conflict(N_("The name %(name)s is taken."), field="name", name=name)


def add_person(session: Session, actor: Actor, *, name: str, password_hash: str, role: Role) -> User:
    """As `create_user`, by an admin, who knows the password: its owner changes it at the first sign-in."""
    user = create_user(session, name=name, password_hash=password_hash, role=role, must_change_password=True)
    record(session, actor, "user.add", f"user/{user.id}")
    return user


def list_users(session: Session) -> list[User]:
    """Everybody, in order of arrival."""
    return list(session.exec(select(User).order_by(col(User.id))))


def require_user(session: Session, user_id: int) -> User:
    """The person. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(N_("There is no such person."))
    return user


def change_user(
    session: Session, actor: Actor, user_id: int, *, role: Role | None = None, is_active: bool | None = None
) -> User:
    """Change a person's role, or close or reopen the account. Closing ends all of its sessions and tokens for good.

    Raises Conflict for one's own account and the last admin's, since an installation must not lose that one by a slip,
    and for the account of the command line.
    """
    user = require_user(session, user_id)
    if user.name == LOCAL_USER:
        raise Conflict(
            N_("The account “local” belongs to the command line on the server. It stays open, and an admin.")
        )
    if user.id == actor.user_id:
        raise Conflict(N_("You cannot change your own role or close your own account. Ask another admin."))
    if is_active is False or role not in (None, Role.ADMIN):
        _refuse_last_admin(session, user)
    if role is not None and role is not user.role:
        user.role = role
        record(session, actor, f"user.role_{role.value}", f"user/{user_id}")
    if is_active is not None and is_active is not user.is_active:
        user.is_active = is_active
        # When reopening too: an account that an older version closed may still have some.
        _end_sessions_and_tokens(session, user)
        record(session, actor, "user.reopen" if is_active else "user.close", f"user/{user_id}")
    session.add(user)
    session.flush()
    return user


def _refuse_last_admin(session: Session, user: User) -> None:
    # Locked in the order of ids: two admins who close each other's account take turns.
    admins = (
        select(User)
        .where(User.role == Role.ADMIN, col(User.is_active), User.name != LOCAL_USER)
        .order_by(col(User.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if [admin.id for admin in session.exec(admins)] == [user.id]:
        raise Conflict(N_("This is the last administrator. Make somebody else one first."))


def _end_sessions_and_tokens(session: Session, user: User) -> None:
    session.execute(delete(LoginSession).where(col(LoginSession.user_id) == user.id))
    user.reset_hash = user.reset_expires_at = None
    for token in session.exec(select(ApiToken).where(ApiToken.user_id == user.id)):
        token.revoked_at = token.revoked_at or utc_now()
        session.add(token)


def has_people(session: Session) -> bool:
    """Whether anybody but the command line's own account exists."""
    return session.exec(select(User).where(User.name != LOCAL_USER)).first() is not None


def record(session: Session, actor: Actor, action: str, subject: str, *, address: str | None = None) -> None:
    """Add a line to the audit trail; `address` is where a sign-in came from."""
    session.add(
        AuditEvent(**actor.who.columns("actor"), action=action, subject=subject[:120], address=address)
    )
