"""The recipe that a run was based on, as it was then, and what the run has otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.core.errors import StudioError
from app.core.i18n import gettext
from app.recipes.fields import FIELDS, displayed
from app.recipes.recipes import BUILT_IN, RECIPES, Recipe, values_of
from app.recipes.setting import Section
from app.recipes.settings import RecipeSettings
from app.runs.models import Run
from app.sentences import N_

# Of built-in recipes, to translate; own ones have their name.
# How many changes are told in a list, and which ones come first.
_FEW: Final = 3
_TELLING: Final = (
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "lora_r",
    "lora_alpha",
    "gradient_accumulation_steps",
)
_OF_THE_MODEL: Final = (Section.METHOD, Section.LEARNING, Section.ADAPTER)
RECIPE_TITLES: Final = {recipe.name: recipe.title for recipe in RECIPES}


@dataclass(frozen=True)
class Base:
    """A recipe as a run keeps it. The last three are None for a built-in one, which a program has by its name."""

    name: str
    id: int | None = None
    version: int | None = None
    settings: RecipeSettings | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> "Base":
        """The recipe as it is now."""
        settings = RecipeSettings.of(recipe.config) if recipe.is_own else None
        return cls(recipe.name, recipe.id, recipe.version, settings)

    @property
    def said(self) -> str:
        """The name, with the version of an own one, in the reader's language."""
        if self.version is None:
            return self.name
        return gettext(N_("%(name)s, version %(number)d")) % {"name": self.name, "number": self.version}

    def recipe(self) -> Recipe:
        """As it was. Raises Invalid for a built-in one of another program, Conflict for settings that this one refuses."""
        if self.settings is None:
            return BUILT_IN.require(self.name)
        return Recipe(self.name, self.name, "", self.settings.config(), self.id, self.version)

    def columns(self) -> dict[str, Any]:
        """The values of the run's columns."""
        return {
            "recipe": self.name,
            "recipe_id": self.id,
            "recipe_version": self.version,
            "recipe_settings": self.settings,
        }


def base_of(run: Run) -> Base:
    """What the run keeps of its recipe."""
    return Base(run.recipe, run.recipe_id, run.recipe_version, run.recipe_settings)


def telling(changes: Mapping[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Of these changes the few that tell runs apart, as field and value: what a model becomes by comes before how it is watched."""
    order = [name for name in _TELLING if name in changes]
    order += [name for name in changes if name not in _TELLING and FIELDS[name].section in _OF_THE_MODEL]
    return [(name, changes[name][1]) for name in order][:_FEW]


def changes_of(run: Run) -> dict[str, tuple[str, str]]:
    """By field, the value of the recipe as it was and the run's, as a person would type them; empty where that recipe is
    gone.
    """
    try:
        recipe = values_of(base_of(run).recipe(), run.config.method)
    except StudioError:
        return {}
    own = displayed(run.config)
    return {name: (recipe[name], own[name]) for name in own if own[name] != recipe[name]}
