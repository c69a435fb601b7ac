"""Advice: computed from data and choice, with its rule, and quiet where nothing is to be said."""

from itertools import pairwise

import pytest

from app.core.i18n import say, use_locale
from app.recipes.advice import Situation, Task, advise, epochs_for, learning_rates_for
from app.recipes.estimates import estimate_steps
from app.recipes.recipes import RECIPES, build_config


def advised(
    conversations: int, recipe: str = "standard", task: Task | None = None, **changes: object
) -> dict[str, str]:
    """Fields and the values that are advised."""
    config = build_config(recipe, changes)
    situation = Situation(conversations, conversations // 20, recipe, task)
    return {one.field: one.value for one in advise(estimate_steps(conversations, config), config, situation)}


@pytest.mark.parametrize(
    "conversations", [1, 2, 5, 10, 20, 157, 999, 1_000, 10_000, 10_001, 100_000, 2_000_000]
)
@pytest.mark.parametrize("recipe", [recipe.name for recipe in RECIPES])
@pytest.mark.parametrize("task", [None, *Task])
def test_who_takes_all_advice_gets_no_further(conversations: int, recipe: str, task: Task | None) -> None:
    for method in ({}, {"load_in_4bit": True}, {"use_peft": False}):
        changes: dict[str, object] = dict(method)
        for _round in range(2):
            changes |= advised(conversations, recipe, task, **changes)
        assert advised(conversations, recipe, task, **changes) == {}


@pytest.mark.parametrize(
    ("conversations", "epochs", "dropout"),
    [
        (1, "5", "0.1"),
        (157, "5", "0.1"),
        (999, "5", "0.1"),
        (1_000, None, None),
        (10_000, None, None),
        (10_001, None, "0"),
        (100_000, None, "0"),
        (100_001, "2", "0"),
    ],
)
def test_epochs_and_dropout_follow_the_size_of_the_data(
    conversations: int, epochs: str | None, dropout: str | None
) -> None:
    found = advised(conversations)
    assert (found.get("num_train_epochs"), found.get("lora_dropout")) == (epochs, dropout)
    # A number of steps says how long it takes already.
    assert "num_train_epochs" not in advised(conversations, max_steps=50)


def test_more_data_are_never_trained_for_longer_nor_with_more_dropout() -> None:
    sizes = (1, 10, 100, 999, 1_000, 9_999, 10_000, 10_001, 99_999, 100_000, 100_001, 1_000_000)
    epochs = [epochs_for(size) for size in sizes]
    assert epochs == sorted(epochs, key=lambda found: (-found[0], -found[1]))
    assert all(
        float(advised(more, lora_dropout=0.3)["lora_dropout"])
        <= float(advised(less, lora_dropout=0.3)["lora_dropout"])
        for less, more in pairwise(sizes)
    )


@pytest.mark.parametrize("method", [{}, {"load_in_4bit": True}, {"use_peft": False}], ids=str)
def test_a_larger_batch_never_lowers_the_learning_rate(method: dict[str, object]) -> None:
    batches = [
        learning_rates_for(build_config("standard", {**method, "per_device_train_batch_size": size}))
        for size in (1, 2, 4, 16, 64)
    ]
    assert all(less.first < more.first and less.high < more.high for less, more in pairwise(batches))
    assert batches[2].first == pytest.approx(build_config("standard", method).learning_rate)


def test_little_data_is_not_trained_without_an_early_stop() -> None:
    assert advised(157, early_stopping_patience=0)["early_stopping_patience"] == "3"
    assert "early_stopping_patience" not in advised(5_000, early_stopping_patience=0)
    config = build_config("standard", {"early_stopping_patience": 0})
    nothing_held_out = Situation(157, 0)
    found = advise(estimate_steps(157, config), config, nothing_held_out)
    assert not {"early_stopping_patience", "eval_steps"} & {one.field for one in found}


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"learning_rate": 1e-3}, "5e-5"),
        ({"learning_rate": 1e-5}, "5e-5"),
        ({"learning_rate": 1e-4}, None),
        ({"learning_rate": 1e-4, "gradient_accumulation_steps": 16}, None),
        ({"learning_rate": 1e-3, "gradient_accumulation_steps": 16}, "1e-4"),
        (
            {"learning_rate": 5e-5, "gradient_accumulation_steps": 1, "per_device_train_batch_size": 1},
            "1.3e-5",
        ),
        ({"load_in_4bit": True, "learning_rate": 5e-5}, "1e-4"),
        ({"use_peft": False, "learning_rate": 1e-4}, "2e-5"),
        ({"use_peft": False}, None),
    ],
)
def test_the_learning_rate_follows_the_method_and_the_root_of_the_batch(
    changes: dict[str, object], value: str | None
) -> None:
    assert advised(5_000, **changes).get("learning_rate") == value


def test_a_recipe_that_is_slow_on_purpose_is_left_alone() -> None:
    assert "learning_rate" not in advised(5_000, "stable")


@pytest.mark.parametrize(
    ("task", "rank", "value"),
    [
        (Task.FORMAT, 64, "16"),
        (Task.DOMAIN, 64, None),
        (Task.DOMAIN, 8, "32"),
        (Task.COMPLEX, 64, "128"),
        (None, 4, None),
    ],
)
def test_the_rank_follows_the_task(task: Task | None, rank: int, value: str | None) -> None:
    assert advised(5_000, task=task, lora_r=rank, lora_alpha=2 * rank).get("lora_r") == value
    assert "lora_r" not in advised(5_000, task=task, lora_r=rank, use_peft=False)


def test_alpha_stays_near_the_rank() -> None:
    assert advised(5_000, lora_r=8, lora_alpha=128)["lora_alpha"] == "16"
    assert "lora_alpha" not in advised(5_000, lora_r=8, lora_alpha=128, use_rslora=True)


@pytest.mark.parametrize(
    ("changes", "cores", "advised"),
    [
        ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 16}, 2, ("2", "8")),
        ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 16}, 3, ("4", "4")),
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}, 4, ("6", "1")),
        ({}, 64, ("16", "1")),
        ({}, 4, None),
        ({}, 0, None),
        ({"num_processes": 2}, 8, None),
        ({"num_processes": 2}, 16, ("8", "2")),
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 1}, 8, None),
        # There all cores share each operation anyway.
        ({"load_in_4bit": True}, 16, None),
        ({"gradient_checkpointing": True}, 16, None),
        ({"use_peft": False}, 16, None),
        ({"use_dora": True}, 16, None),
        ({"use_dora": True, "lora_dropout": 0}, 16, ("16", "1")),
        ({"backend": "trl"}, 16, None),
    ],
    ids=str,
)
def test_each_core_of_a_processor_gets_samples_of_its_own(
    changes: dict[str, object], cores: int, advised: tuple[str, str] | None
) -> None:
    config = build_config("standard", {"learning_rate": 5e-5, **changes})
    found = {
        one.field: one.value
        for one in advise(estimate_steps(5_000, config), config, Situation(5_000, 250, cores=cores))
    }
    values = found.get("per_device_train_batch_size"), found.get("gradient_accumulation_steps")
    assert values == (advised or (None, None))
    if advised:
        taken = build_config("standard", {**changes, **found})
        assert taken.samples_per_step == config.samples_per_step
        again = advise(estimate_steps(5_000, taken), taken, Situation(5_000, 250, cores=cores))
        assert "per_device_train_batch_size" not in {one.field for one in again}


def test_every_piece_says_why_and_by_which_rule_in_both_languages() -> None:
    config = build_config(
        "standard", {"learning_rate": 1e-3, "lora_alpha": 1, "per_device_train_batch_size": 1}
    )
    found = advise(estimate_steps(40, config), config, Situation(40, 2, "standard", Task.FORMAT, cores=2))
    assert len(found) >= 9
    for locale, opening in (("en", "Rule: "), ("zh-CN", "规则：")):
        with use_locale(locale):  # type: ignore[arg-type]
            for one in found:
                assert say(one.rule).startswith(opening)
                assert "%(" not in say(one.sentence)
