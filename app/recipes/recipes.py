"""The named recipes of the source material, people's own beside them, and the methods as a switch on any of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from app.accounts.service import name_key
from app.core.errors import Conflict, Invalid
from app.core.i18n import gettext
from app.recipes.config import TrainingConfig, parse_config
from app.recipes.fields import display, displayed
from app.recipes.method import Method
from app.sentences import N_

# What a method brings along where neither the recipe nor a person says otherwise. A whole model's checkpoints are large.
_OF_METHOD: Final[Mapping[Method, Mapping[str, object]]] = {
    Method.LORA: {},
    Method.QLORA: {"learning_rate": 1e-4, "optim": "paged_adamw_8bit"},
    Method.FULL: {"learning_rate": 2e-5, "save_total_limit": 2},
}


@dataclass(frozen=True)
class Recipe:
    """A starting point: a name, what it is for, and a config that sets what differs from the standard training.

    A built-in one has a title and a purpose to translate. An own one has its row's `id`, and the `version` it is in.
    """

    name: str
    title: str
    purpose: str
    config: TrainingConfig = field(default_factory=TrainingConfig)
    id: int | None = None
    version: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether somebody here made it."""
        return self.version is not None

    @property
    def label(self) -> str:
        """What it is called, in the reader's language where it is built in."""
        return self.title if self.is_own else gettext(self.title)

    @property
    def about(self) -> str:
        """What it is for, as `label`."""
        return self.purpose if self.is_own or not self.purpose else gettext(self.purpose)


RECIPES: Final = (
    Recipe(
        "quick",
        N_("Quick"),
        N_("A first look in minutes: small adapter on the query and value projections."),
        TrainingConfig(lora_r=16, lora_alpha=32, lora_target_modules="q,v", lora_dropout=0.05),
    ),
    Recipe(
        "standard",
        N_("Standard"),
        N_("The default for learning a domain: medium adapter on all linear layers."),
        TrainingConfig(lora_r=64, lora_alpha=128, lora_target_modules="all-linear", lora_dropout=0.05),
    ),
    Recipe(
        "quality",
        N_("Quality"),
        N_("For much data and difficult dialogues: large adapter, no dropout."),
        TrainingConfig(lora_r=128, lora_alpha=256, lora_target_modules="all-linear", lora_dropout=0.0),
    ),
    Recipe(
        "stable",
        N_("Stable"),
        N_("When a run oscillates or explodes: low learning rate, more accumulation."),
        TrainingConfig(
            learning_rate=2e-5,
            warmup_ratio=0.1,
            lr_scheduler_type="cosine",
            max_grad_norm=1.0,
            bf16="auto",
            gradient_accumulation_steps=8,
            weight_decay=0.01,
        ),
    ),
)


class RecipeBook:
    """Recipes that may be named: the built-in ones, then own ones by name, which nobody tells apart by upper and lower case.

    `unusable` are own ones that this program refuses, with the reason.
    """

    def __init__(self, own: Iterable[Recipe] = (), unusable: Mapping[str, Conflict] | None = None) -> None:
        self.own = tuple(own)
        self.recipes = (*RECIPES, *self.own)
        self.unusable = {name_key(name): error for name, error in (unusable or {}).items()}
        self._by_key = {name_key(recipe.name): recipe for recipe in self.recipes}

    def find(self, name: str) -> Recipe | None:
        """The recipe of this name that can be trained with, if any."""
        return self._by_key.get(name_key(name))

    def require(self, name: str) -> Recipe:
        """The recipe. Raises Invalid naming those there are, or what is wrong with this one."""
        found = self.find(name)
        if found is not None:
            return found
        wrong = self.unusable.get(name_key(name))
        if wrong is not None:
            raise Invalid(wrong.sentence, field="recipe")
        raise Invalid(
            N_("There is no recipe “%(name)s”. Use one of: %(names)s."),
            field="recipe",
            name=name,
            names=", ".join(recipe.name for recipe in self.recipes),
        )


BUILT_IN: Final = RecipeBook()


def build_config(recipe: Recipe | str, changes: Mapping[str, object] | None = None) -> TrainingConfig:
    """The full config of a recipe, or of a built-in one by name, with changes on top, as typed. A method brings values of
    its own.

    Raises Invalid for an unknown recipe, or about the fields that are wrong.
    """
    if isinstance(recipe, str):
        recipe = BUILT_IN.require(recipe)
    set_here = recipe.config.model_dump(exclude_unset=True)
    config = parse_config({**set_here, **(changes or {})})
    brought = _OF_METHOD[config.method].items()
    return config.model_copy(
        update={name: value for name, value in brought if name not in config.model_fields_set}
    )


def values_of(recipe: Recipe | str, method: Method) -> dict[str, str]:
    """What each field is with this recipe and method where nobody says otherwise, as one would type it. Of a recipe that does
    not go with the method, its own values beside the method's.
    """
    try:
        return displayed(build_config(recipe, method.fields))
    except Invalid:
        own = displayed(build_config(recipe))
        return {**own, **{name: display(value) for name, value in method.fields.items()}}
