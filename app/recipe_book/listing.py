"""All recipes that somebody may see, each with what it sets and what came of it."""

from dataclasses import dataclass, field

from sqlmodel import Session

from app.accounts.service import Actor
from app.core.errors import Conflict
from app.recipe_book.use import Use, uses_of
from app.recipes.config import TrainingConfig
from app.recipes.fields import display
from app.recipes.method import Method
from app.recipes.models import OwnRecipe
from app.recipes.own import list_own, owns, problems_of, recipe_of
from app.recipes.recipes import RECIPES, Recipe, build_config, values_of
from app.recipes.settings import RecipeSettings
from app.runs.judging import Judging


@dataclass(frozen=True)
class Listed:
    """A recipe; `row` of an own one. `recipe` is None where this program refuses it: `problems` by field say why.

    `differs`: by field, what the standard recipe has and what this one has, as one would type it.
    """

    name: str
    recipe: Recipe | None
    settings: RecipeSettings
    use: Use
    row: OwnRecipe | None = None
    problems: dict[str, str] = field(default_factory=dict)
    may_delete: bool = False

    @property
    def config(self) -> TrainingConfig | None:
        """All that it trains with."""
        return build_config(self.recipe) if self.recipe else None

    @property
    def differs(self) -> dict[str, tuple[str, str]]:
        """Of one that is refused, what it says."""
        standard = values_of("standard", Method.LORA)
        if self.recipe is None:
            return {
                name: (standard.get(name, ""), display(value)) for name, value in self.settings.values.items()
            }
        own = values_of(self.recipe, self.recipe.config.method)
        return {name: (text, own[name]) for name, text in standard.items() if own[name] != text}


def list_recipes(session: Session, actor: Actor, judging: Judging) -> list[Listed]:
    """The built-in ones, then own ones by name."""
    rows = list_own(session, actor)
    uses = uses_of(session, judging, [*(one.name for one in RECIPES), *(row.id or 0 for row in rows)])
    built_in = [Listed(one.name, one, RecipeSettings.of(one.config), uses[one.name]) for one in RECIPES]
    return [*built_in, *(_listed(actor, row, uses[row.id or 0]) for row in rows)]


def look_at(session: Session, actor: Actor, judging: Judging, row: OwnRecipe) -> Listed:
    """One of them."""
    return _listed(actor, row, uses_of(session, judging, [row.id or 0])[row.id or 0])


def _listed(actor: Actor, row: OwnRecipe, use: Use) -> Listed:
    try:
        recipe = recipe_of(row)
    except Conflict:
        recipe = None
    return Listed(row.name, recipe, row.settings, use, row, problems_of(row), owns(actor, row))
