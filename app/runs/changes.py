"""What a run's config has otherwise than the recipe that it names."""

from app.core.errors import Invalid
from app.recipes.fields import displayed
from app.recipes.recipes import build_config
from app.runs.models import Run


def changes_of(run: Run) -> dict[str, tuple[str, str]]:
    """By field, the recipe's value and the run's, as a person would type them; empty where the recipe is gone."""
    try:
        recipe = displayed(build_config(run.recipe, run.config.method.fields))
    except Invalid:
        return {}
    own = displayed(run.config)
    return {name: (recipe[name], own[name]) for name in own if own[name] != recipe[name]}
