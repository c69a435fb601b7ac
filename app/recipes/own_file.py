"""A recipe as a YAML file, which `foreign` reads, and a file as a recipe."""

import yaml

from app.core.errors import Invalid
from app.recipes.foreign import OWN_FORM, OWN_KEY, ForeignConfig
from app.recipes.own import RecipeDraft
from app.recipes.recipes import Recipe
from app.recipes.settings import RecipeSettings
from app.sentences import N_


def write_recipe(recipe: Recipe) -> str:
    """Its name, its purpose and what it sets."""
    document = {
        OWN_KEY: OWN_FORM,
        "name": recipe.name,
        "purpose": recipe.about,
        "settings": dict(RecipeSettings.of(recipe.config).values),
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1_000)


def draft_of_file(read: ForeignConfig, name: str, purpose: str | None, shared: bool) -> RecipeDraft:
    """As the file says, under another name where one is given. Raises Invalid where neither has one."""
    name = name.strip() or read.name.strip()
    if not name:
        raise Invalid(N_("This file names no recipe: give it a name."), field="name")
    return RecipeDraft(name, read.purpose if purpose is None else purpose, read.values, shared)
