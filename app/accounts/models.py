"""Tables of accounts. Secrets are stored hashed only."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlmodel import Field, SQLModel

from app.core.database import enum_column, moment_column, utc_now

# Of network addresses as they are kept: an IPv6 one with its zone has room.
ADDRESS_LENGTH: Final = 64
# The account of the command line on the server's own machine.
LOCAL_USER: Final = "local"
LOCAL_TOKEN: Final = "command line"


class Role(StrEnum):
    """What a person may do; each role may do all that the ones before it may."""

    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    ENGINEER = "engineer"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Position in the order of power."""
        return list(Role).index(self)

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        return self.rank >= other.rank


class Scope(StrEnum):
    """What a token is for. Each may read; what erases and what concerns people is in none but `all`."""

    READ = "read"
    CURATE = "curate"
    TRAIN = "train"
    ALL = "all"

    def includes(self, other: "Scope") -> bool:
        """Whether a token of this scope may do what belongs to `other`."""
        return self is Scope.ALL or other in (Scope.READ, self)


class User(SQLModel, table=True):
    """A person who signs in with a name and a password."""

    __tablename__ = "user_account"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=80, unique=True)
    # The name as a reader sees it (`service.name_key`). None for those from before it was kept whose name had a twin.
    name_key: str | None = Field(default=None, unique=True, index=True)
    password_hash: str
    role: Role = Field(sa_column=enum_column(Role))
    is_active: bool = True
    # The password was handed over by somebody else: it is changed before anything else.
    must_change_password: bool = False
    # Of the newest link that sets a new password; both None once it is used.
    reset_hash: str | None = Field(default=None, max_length=64, unique=True, index=True)
    reset_expires_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    seen_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))


class LoginSession(SQLModel, table=True):
    """A signed-in browser. The cookie holds the secret, the row its hash."""

    __tablename__ = "login_session"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    secret_hash: str = Field(max_length=64, unique=True)
    created_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    seen_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    # Where it was seen last, and the User-Agent header it began with.
    address: str = Field(default="", max_length=ADDRESS_LENGTH)
    agent: str = Field(default="", max_length=200)
    expires_at: datetime = Field(sa_column=moment_column())


class ApiToken(SQLModel, table=True):
    """A token for scripts. Never does more than its scope, its role and its owner's role allow."""

    __tablename__ = "api_token"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=80)
    # Its owner's when it was made.
    role: Role = Field(sa_column=enum_column(Role))
    scope: Scope = Field(default=Scope.ALL, sa_column=enum_column(Scope))
    secret_hash: str = Field(max_length=64, unique=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    expires_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    seen_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))


class AuditEvent(SQLModel, table=True):
    """Who did what to which thing. Holds no dialogue text."""

    __tablename__ = "audit_event"

    id: int | None = Field(default=None, primary_key=True)
    actor: str = Field(max_length=80)
    actor_user_id: int | None = Field(default=None, index=True)
    actor_token_id: int | None = None
    action: str = Field(max_length=60)
    subject: str = Field(max_length=120, index=True)
    # From which sign-ins came.
    address: str | None = Field(default=None, max_length=ADDRESS_LENGTH)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
