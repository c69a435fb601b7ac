"""The run's configuration: every field known, typed and in range, or refused by name."""

from typing import Any

import pytest

from worker.work.protocol import JobFailed
from worker.work.training.config import read_config


def test_fields_are_spelled_as_trl_and_peft_spell_them() -> None:
    config = read_config({"lora_r": 16, "lora_target_modules": ["q_proj"], "bf16": "auto", "warmup_ratio": 0})
    assert (config.r, config.target_modules, config.bf16, config.warmup_ratio) == (16, ["q_proj"], "auto", 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rat", 1e-4),
        ("learning_rate", "1e-4"),
        ("learning_rate", float("nan")),
        ("per_device_train_batch_size", 0),
        ("per_device_train_batch_size", 2.5),
        ("per_device_train_batch_size", True),
        ("bf16", "yes"),
        ("max_steps", 0),
        ("lora_dropout", 1.0),
        ("target_modules", []),
        ("target_modules", [1]),
        ("lr_scheduler_type", "staircase"),
        ("optim", "magic"),
        ("save_total_limit", 1),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(JobFailed, match=field):
        read_config({field: value})


def test_one_field_under_two_names_has_to_agree() -> None:
    assert read_config({"r": 8, "lora_r": 8}).r == 8
    with pytest.raises(JobFailed, match="twice"):
        read_config({"r": 8, "lora_r": 16})
