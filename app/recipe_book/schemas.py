"""What REST reads and writes of recipes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.core.i18n import gettext
from app.recipe_book.listing import Listed
from app.recipes.config import TrainingConfig
from app.recipes.fields import ConfigField, changes_schema
from app.recipes.foreign import LARGEST_BYTES, Tool
from app.recipes.models import NAME_CHARACTERS, PURPOSE_CHARACTERS

_Name = Annotated[str, Field(max_length=NAME_CHARACTERS)]
_Purpose = Annotated[str, Field(max_length=PURPOSE_CHARACTERS)]
# Told in the document; judged where the form's and the command line's are, in the same words.
_Settings = Annotated[dict[str, Any], WithJsonSchema(changes_schema())]


class RecipeFieldOut(BaseModel):
    """A field that recipes and the changes to them may set, as the form explains it.

    `label`, `meaning` (what it does, and when to change it), `section`, `unit` and `allowed` are in the reader's language. `default` is
    the standard's. Limits are inclusive but for `above`; `choices` are all values where it has such.
    """

    name: str
    label: str
    meaning: str
    section: str
    unit: str
    default: bool | int | float | str | list[str]
    allowed: str
    choices: list[str]
    minimum: float | None
    above: float | None
    maximum: float | None

    @classmethod
    def of(cls, field: ConfigField) -> "RecipeFieldOut":
        """In the reader's language."""
        return cls(
            name=field.name,
            label=gettext(field.label),
            meaning=gettext(field.meaning),
            section=gettext(field.section.value),
            unit=gettext(field.unit) if field.unit else "",
            default=getattr(TrainingConfig(), field.name),
            allowed=field.allowed,
            choices=list(field.choices),
            minimum=field.minimum,
            above=field.above,
            maximum=field.maximum,
        )


class RefusedFieldOut(BaseModel):
    """A field of a stored recipe that this program refuses, and why."""

    field: str
    message: str


class RecipeOut(BaseModel):
    """A recipe and the full config it stands for, which is null where this program refuses what is stored: see `refused`.

    `settings` are the fields that it sets; the others follow the standard. `version` counts an own recipe's changes and is
    null for a built-in one. Of the `runs` that used it, `best_run_id` has the lowest held-out loss.
    """

    name: str
    config: TrainingConfig | None
    id: int | None = None
    title: str = ""
    purpose: str = ""
    settings: Mapping[str, object] = Field(default_factory=dict, json_schema_extra=changes_schema())
    version: int | None = None
    shared: bool = True
    created_by: str | None = None
    updated_by: str | None = None
    updated_at: datetime | None = None
    refused: list[RefusedFieldOut] = Field(default_factory=list)
    runs: int = 0
    best_run_id: int | None = None
    best_eval_loss: float | None = None
    best_verdict: str | None = None

    @classmethod
    def of(cls, listed: Listed) -> "RecipeOut":
        """In the reader's language."""
        row, use = listed.row, listed.use
        return cls(
            name=listed.name,
            config=listed.config,
            id=row.id if row else None,
            title=listed.recipe.label if listed.recipe else listed.name,
            purpose=row.purpose if row else (listed.recipe.about if listed.recipe else ""),
            settings=listed.settings.values,
            version=row.version if row else None,
            shared=row.is_shared if row else True,
            created_by=row.created_by if row else None,
            updated_by=row.updated_by if row else None,
            updated_at=row.updated_at if row else None,
            refused=[RefusedFieldOut(field=name, message=said) for name, said in listed.problems.items()],
            runs=use.runs,
            best_run_id=use.best_run_id,
            best_eval_loss=use.best_eval_loss,
            best_verdict=use.verdict.word if use.verdict else None,
        )


class RecipeIn(BaseModel):
    """A new recipe: `settings` on top of what the recipe `like`, or the run `run_id`, was."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    purpose: _Purpose = ""
    settings: _Settings = Field(default_factory=dict)
    shared: bool = False
    like: str | None = Field(default=None, max_length=NAME_CHARACTERS)
    run_id: int | None = None


class RecipeSeenIn(BaseModel):
    """What of a recipe was seen before it was changed: the fields of that name that it was read with."""

    model_config = ConfigDict(extra="forbid")

    name: _Name | None = None
    purpose: _Purpose | None = None
    settings: _Settings | None = None
    shared: bool | None = None


class RecipeChangeIn(BaseModel):
    """What is to be otherwise; what is left out stays. `version` is the one that was seen.

    `settings` replace all that it set. Where somebody else changed the recipe meanwhile, `seen` tells their changes from these: what
    only one of both changed is taken from that one, each setting by itself, and what both changed is a conflict that names it. Without
    `seen` another version is a conflict as a whole.
    """

    model_config = ConfigDict(extra="forbid")

    version: int
    name: _Name | None = None
    purpose: _Purpose | None = None
    settings: _Settings | None = None
    shared: bool | None = None
    seen: RecipeSeenIn | None = None


class RecipeFileIn(BaseModel):
    """A training config of LLaMA-Factory or Axolotl, or an exported recipe, as its YAML. Name and purpose may be in it."""

    model_config = ConfigDict(extra="forbid")

    config: str = Field(max_length=LARGEST_BYTES)
    name: _Name = ""
    purpose: _Purpose | None = None
    shared: bool = False


class RecipeImportedOut(BaseModel):
    """The saved recipe, the tool that the file is of, and a note for each key that was left out."""

    recipe: RecipeOut
    tool: Tool
    notes: list[str]
