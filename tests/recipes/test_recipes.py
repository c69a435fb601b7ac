"""Recipes give the numbers they promise; a wrong field is named; estimates count as the trainer does."""

import pytest

from app.core.errors import Invalid
from app.core.i18n import use_locale
from app.recipes.config import TrainingConfig, parse_config
from app.recipes.estimates import estimate_steps
from app.recipes.fields import FIELD_GROUPS
from app.recipes.method import Method
from app.recipes.recipes import RECIPES, build_config


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("quick", {"lora_r": 16, "lora_alpha": 32, "lora_target_modules": ["q_proj", "v_proj"]}),
        (
            "standard",
            {"lora_r": 64, "lora_alpha": 128, "lora_target_modules": "all-linear", "lora_dropout": 0.05},
        ),
        ("quality", {"lora_r": 128, "lora_alpha": 256, "lora_dropout": 0.0}),
        ("stable", {"learning_rate": 2e-5, "gradient_accumulation_steps": 8, "max_grad_norm": 1.0}),
    ],
)
def test_each_recipe_has_the_numbers_of_the_source_material(recipe: str, expected: dict[str, object]) -> None:
    config = build_config(recipe).model_dump()
    assert {name: config[name] for name in expected} == expected


def test_qlora_brings_its_learning_rate_unless_one_is_set() -> None:
    assert build_config("standard", {"load_in_4bit": True}).learning_rate == 1e-4
    assert build_config("standard", {"load_in_4bit": True, "learning_rate": "3e-5"}).learning_rate == 3e-5
    assert build_config("stable", {"load_in_4bit": True}).learning_rate == 2e-5


def test_a_full_fine_tune_brings_its_own_and_has_nothing_of_an_adapter() -> None:
    config = build_config("standard", {"use_peft": "false"})
    assert (config.method, config.learning_rate, config.save_total_limit) == (Method.FULL, 2e-5, 2)
    for field in ("load_in_4bit", "use_dora"):
        with pytest.raises(Invalid, match="needs an adapter") as raised:
            build_config("standard", {"use_peft": False, field: True})
        assert raised.value.field == field


def test_every_field_of_the_config_is_shown_once() -> None:
    shown = [field.name for group in FIELD_GROUPS for field in group.fields]
    assert sorted(shown) == sorted(TrainingConfig.model_fields)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("learning_rate", "fast", "learning_rate must be a number."),
        ("learning_rate", "0", "learning_rate must be more than 0."),
        ("learning_rate", "nan", "learning_rate must be a number."),
        ("learning_rate", "1", "learning_rate must be at most 0.01."),
        ("learning_rate", True, "learning_rate must be a number."),
        ("lora_r", "1.5", "lora_r must be a whole number."),
        ("lora_r", True, "lora_r must be a whole number."),
        ("lora_r", 10**30, "lora_r must be at most 1024."),
        ("lora_r", "9" * 5000, "lora_r is too large a number."),
        ("lora_dropout", "-0.1", "lora_dropout must be at least 0."),
        ("max_steps", "0", "max_steps must be -1, for as many steps as the epochs need, or at least 1."),
        (
            "lr_scheduler_type",
            "magic",
            "lr_scheduler_type must be one of: cosine, linear, constant, constant_with_warmup, "
            "cosine_with_restarts, polynomial.",
        ),
        (
            "lora_target_modules",
            " , ",
            "lora_target_modules must be all-linear, or module names separated by commas.",
        ),
        (
            "lora_target_modules",
            [1],
            "lora_target_modules must be all-linear, or module names separated by commas.",
        ),
        ("use_rslora", "perhaps", "use_rslora must be true or false."),
        ("bf16", "perhaps", "bf16 must be one of: auto, true, false."),
        (
            "learning_rte",
            "1e-4",
            "There is no field learning_rte here. Did you mean learning_rate?",
        ),
        ("r", 8, "r is called lora_r here, as TRL's command line spells it."),
        (
            "max_length",
            2048,
            "max_length belongs to the mask settings: ask for a mask check with it. The checked arrays are "
            "trained as they are.",
        ),
        ("seed", {"a": 1}, "seed must be a whole number."),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(field: str, value: object, sentence: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_config({field: value})
    assert raised.value.field == field
    assert raised.value.translated() == sentence


def test_all_wrong_fields_are_told_at_once_and_in_chinese() -> None:
    with use_locale("zh-CN"), pytest.raises(Invalid) as raised:
        parse_config({"lora_r": "x", "seed": -1})
    assert raised.value.details == [
        {"field": "seed", "message": "seed 不能小于 0。"},
        {"field": "lora_r", "message": "lora_r 必须是整数。"},
    ]


def test_module_names_are_cleaned() -> None:
    assert parse_config({"lora_target_modules": "q_proj, v_proj"}).lora_target_modules == ["q_proj", "v_proj"]


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(Invalid, match="quick, standard, quality, stable"):
        build_config("fast")


@pytest.mark.parametrize(
    ("samples", "changes", "steps"),
    [
        (157, {}, 30),
        (16, {}, 3),
        (17, {}, 6),
        (1, {}, 3),
        (160, {"num_train_epochs": 0.5}, 5),
        (160, {"max_steps": 7}, 7),
        (157, {"gradient_accumulation_steps": 2, "num_processes": 2}, 30),
        (
            1000,
            {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "num_train_epochs": 1},
            1000,
        ),
    ],
)
def test_steps_are_counted_as_the_trainer_counts_them(
    samples: int, changes: dict[str, object], steps: int
) -> None:
    assert estimate_steps(samples, build_config("standard", changes)).steps == steps


def test_recipe_names_are_unique() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES) == 4
