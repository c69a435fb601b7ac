"""The table of own recipes."""

from datetime import datetime
from typing import Final

from sqlalchemy import Column
from sqlmodel import Field

from app.accounts.who import NAME_LENGTH, CreatedBy
from app.core.database import moment_column, utc_now
from app.core.documents import DocumentColumn
from app.recipes.settings import RecipeSettings

NAME_CHARACTERS: Final = 40
PURPOSE_CHARACTERS: Final = 500
# Of a name in its one spelling: a single sign may become eighteen.
_KEY_CHARACTERS: Final = 18 * NAME_CHARACTERS


class OwnRecipe(CreatedBy, table=True):
    """A recipe that somebody saved. Runs keep a copy of what it set, so nothing refers to it."""

    __tablename__ = "recipe"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=NAME_CHARACTERS)
    # The name in the one spelling that may be there once.
    name_key: str = Field(max_length=_KEY_CHARACTERS, unique=True)
    purpose: str = Field(default="", max_length=PURPOSE_CHARACTERS)
    settings: RecipeSettings = Field(sa_column=Column(DocumentColumn(RecipeSettings), nullable=False))
    # Seen and used by everybody, or by its maker alone.
    is_shared: bool = False
    # Counts up with every change, which has to name the one that it was made to.
    version: int = 1
    updated_by: str = Field(default="", max_length=NAME_LENGTH)
    updated_by_user_id: int | None = None
    updated_by_token_id: int | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
