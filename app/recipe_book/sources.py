"""What a new recipe begins with: another recipe, a run, the form of a new run."""

from app.core.errors import StudioError
from app.recipes.method import METHOD_FIELDS
from app.recipes.recipes import Recipe
from app.recipes.settings import RecipeSettings
from app.runs.changes import base_of, changes_of
from app.runs.models import Run
from app.runs.new_run import NewRunForm


def settings_of_recipe(recipe: Recipe) -> dict[str, object]:
    """What it sets."""
    return dict(RecipeSettings.of(recipe.config).values)


def settings_of_run(run: Run) -> dict[str, object]:
    """What the run's recipe set then, and what the run had otherwise."""
    config = run.config.to_json()
    try:
        recipe = base_of(run).recipe()
    except StudioError:
        # Of another program: every field as it was.
        return dict(config)
    method = run.config.method.fields if run.config.method is not recipe.config.method else {}
    return {**settings_of_recipe(recipe), **method, **{name: config[name] for name in changes_of(run)}}


def settings_of_form(form: NewRunForm) -> dict[str, object]:
    """What the chosen recipe sets, and what was typed. Raises Invalid for an unknown recipe."""
    recipe = form.book.require(form.values["recipe"])
    typed: dict[str, object] = {**form.changes()}
    if form.method is recipe.config.method:
        typed = {name: value for name, value in typed.items() if name not in METHOD_FIELDS}
    return {**settings_of_recipe(recipe), **typed}
