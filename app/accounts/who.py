"""Who did something, as rows keep it: the person and the token by id, and the name as it was then.

The ids are plain numbers without a foreign key: history stays whatever becomes of the account. Rows from before ids
were kept have the name alone.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel
from sqlmodel import Field, SQLModel

from app.accounts.models import LOCAL_TOKEN, LOCAL_USER
from app.core.i18n import gettext as _

NAME_LENGTH: Final = 80


@dataclass(frozen=True)
class Who:
    """`token_id` is None for what was done in a browser; `user_id` is None where only the name is known."""

    name: str
    user_id: int | None = None
    token_id: int | None = None

    @property
    def via(self) -> Literal["session", "token"] | None:
        """How the person was signed in; None where only the name is known."""
        if self.user_id is None:
            return None
        return "session" if self.token_id is None else "token"

    def columns(self, name: str = "created_by") -> dict[str, Any]:
        """The values of the three columns that begin with this name."""
        return {
            name: self.name[:NAME_LENGTH],
            f"{name}_user_id": self.user_id,
            f"{name}_token_id": self.token_id,
        }


def name_by_token(user: str, token: str) -> str:
    """The name that rows keep of somebody who came with a token."""
    return f"{user} ({token})"


def spoken_name(name: str | None) -> str:
    """A kept name as pages show it: the command line of the server's own machine in the reader's language."""
    return _("the command line") if name == name_by_token(LOCAL_USER, LOCAL_TOKEN) else name or ""


class CreatedBy(SQLModel):
    """Columns of a table whose rows somebody makes."""

    created_by: str = Field(default="", max_length=NAME_LENGTH)
    created_by_user_id: int | None = None
    created_by_token_id: int | None = None

    @property
    def creator(self) -> Who:
        """Who made the row."""
        return Who(self.created_by, self.created_by_user_id, self.created_by_token_id)


class CreatedByOut(BaseModel):
    """In answers of REST: the name as it was, and the ids, which are null in rows from before they were kept.
    `created_by_token_id` is null for what was done in a browser.
    """

    created_by: str
    created_by_user_id: int | None
    created_by_token_id: int | None
