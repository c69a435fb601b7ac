"""The named recipes of the source material, and the methods as a switch on any of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.core.errors import Invalid
from app.recipes.config import TrainingConfig, parse_config
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
    """A starting point: a name, what it is for, and a config that sets what differs from the standard training."""

    name: str
    title: str
    purpose: str
    config: TrainingConfig = field(default_factory=TrainingConfig)


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
_BY_NAME: Final = {recipe.name: recipe for recipe in RECIPES}


def require_recipe(name: str) -> Recipe:
    """The recipe, or Invalid naming those there are."""
    if name not in _BY_NAME:
        raise Invalid(
            N_("There is no recipe “%(name)s”. Use one of: %(names)s."),
            field="recipe",
            name=name,
            names=", ".join(_BY_NAME),
        )
    return _BY_NAME[name]


def build_config(recipe: str, changes: Mapping[str, object] | None = None) -> TrainingConfig:
    """The recipe's full config with one's own changes on top, as typed. A method brings values of its own.

    Raises Invalid for an unknown recipe, or about the fields that are wrong.
    """
    set_here = require_recipe(recipe).config.model_dump(exclude_unset=True)
    config = parse_config({**set_here, **(changes or {})})
    brought = _OF_METHOD[config.method].items()
    return config.model_copy(
        update={name: value for name, value in brought if name not in config.model_fields_set}
    )
