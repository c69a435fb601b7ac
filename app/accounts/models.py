"""Tables of accounts. Secrets are stored hashed only."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlmodel import Field, SQLModel

from app.core.database import enum_column, moment_column, utc_now

# The account of the command line on the server's own machine.
LOCAL_USER: Final = "local"


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


class User(SQLModel, table=True):
    """A person who signs in with a name and a password."""

    __tablename__ = "user_account"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=80, unique=True)
    password_hash: str
    role: Role = Field(sa_column=enum_column(Role))
    is_active: bool = True
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class LoginSession(SQLModel, table=True):
    """A signed-in browser. The cookie holds the secret, the row its hash."""

    __tablename__ = "login_session"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    secret_hash: str = Field(max_length=64, unique=True)
    expires_at: datetime = Field(sa_column=moment_column())


class ApiToken(SQLModel, table=True):
    """A token for scripts. Never does more than its owner's role allows."""

    __tablename__ = "api_token"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=80)
    role: Role = Field(sa_column=enum_column(Role))
    secret_hash: str = Field(max_length=64, unique=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    expires_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))


class AuditEvent(SQLModel, table=True):
    """Who did what to which thing. Holds no dialogue text."""

    __tablename__ = "audit_event"

    id: int | None = Field(default=None, primary_key=True)
    actor: str = Field(max_length=80)
    actor_user_id: int | None = Field(default=None, index=True)
    actor_token_id: int | None = None
    action: str = Field(max_length=60)
    subject: str = Field(max_length=120, index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
