"""The named recipes of the source material, and QLoRA as a switch on any of them."""

from dataclasses import dataclass, field
from typing import Any, Final

from app.core.errors import Invalid
from app.core.i18n import N_
from app.recipes.config import TrainingConfig, parse_config

QLORA_LEARNING_RATE: Final = 1e-4


@dataclass(frozen=True)
class Recipe:
    """A starting point: a name, what it is for, and what it changes from the standard training."""

    name: str
    title: str
    purpose: str
    changes: dict[str, Any] = field(default_factory=dict)


RECIPES: Final = (
    Recipe(
        "quick",
        N_("Quick"),
        N_("A first look in minutes: small adapter on the query and value projections."),
        {"lora_r": 16, "lora_alpha": 32, "lora_target_modules": "q,v", "lora_dropout": 0.05},
    ),
    Recipe(
        "standard",
        N_("Standard"),
        N_("The default for learning a domain: medium adapter on all linear layers."),
        {"lora_r": 64, "lora_alpha": 128, "lora_target_modules": "all-linear", "lora_dropout": 0.05},
    ),
    Recipe(
        "quality",
        N_("Quality"),
        N_("For much data and difficult dialogues: large adapter, no dropout."),
        {"lora_r": 128, "lora_alpha": 256, "lora_target_modules": "all-linear", "lora_dropout": 0.0},
    ),
    Recipe(
        "stable",
        N_("Stable"),
        N_("When a run oscillates or explodes: low learning rate, more accumulation."),
        {
            "learning_rate": 2e-5,
            "warmup_ratio": 0.1,
            "lr_scheduler_type": "cosine",
            "max_grad_norm": 1.0,
            "bf16": "auto",
            "gradient_accumulation_steps": 8,
            "weight_decay": 0.01,
        },
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


def merged_values(recipe: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The recipe's values with one's own changes on top. QLoRA brings its own learning rate."""
    values = {**require_recipe(recipe).changes, **(changes or {})}
    if values.get("load_in_4bit") in (True, "true", "True", "1"):
        values.setdefault("learning_rate", QLORA_LEARNING_RATE)
    return values


def build_config(recipe: str, changes: dict[str, Any] | None = None) -> TrainingConfig:
    """The recipe's full config with one's own changes on top."""
    return parse_config(merged_values(recipe, changes))
