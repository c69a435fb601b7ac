"""Configs of LLaMA-Factory and Axolotl read as ours: what the studio wrote comes back, the rest is told key by key."""

import pytest

from app.core.errors import Invalid
from app.interop.handing import HandedRun, Handing
from app.interop.writing import WRITERS
from app.recipes.config import TrainingConfig, parse_config
from app.recipes.foreign import read_foreign
from tests.interop.test_options import handed

CONFIGS = {"llamafactory": "train.yaml", "axolotl": "config.yml"}
CHANGED = {
    "learning_rate": 2e-4,
    "num_train_epochs": 2.0,
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "use_rslora": True,
    "use_dora": True,
    "gradient_checkpointing": True,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 3,
    "lr_scheduler_type": "linear",
    "weight_decay": 0.02,
    "adam_beta2": 0.95,
    "seed": 7,
    "save_total_limit": 3,
}


@pytest.mark.parametrize("tool", CONFIGS)
@pytest.mark.parametrize("changes", [{}, CHANGED, {"load_in_4bit": True}])
def test_what_the_studio_wrote_for_a_tool_comes_back(tool: str, changes: dict[str, object]) -> None:
    run: HandedRun = handed(**changes)
    handing = Handing(tool, leave_out=True)  # type: ignore[arg-type]
    WRITERS[tool](run, handing)  # type: ignore[index]
    read = read_foreign(handing.files[CONFIGS[tool]])
    assert read.tool == tool
    config = parse_config(read.values)
    for name in {*CHANGED, "load_in_4bit", "use_peft", "max_grad_norm", "logging_steps"}:
        assert getattr(config, name) == getattr(run.config, name), name
    told = {note.values["key"] for note in read.notes}
    assert not told & set(TrainingConfig.model_fields)


def test_every_key_without_a_meaning_is_told_by_name() -> None:
    read = read_foreign(
        "finetuning_type: freeze\nflash_attn: fa2\ntemplate: qwen\nlora_rank: 8\nlearning_rate: 1e-4\n"
    )
    assert read.values == {"lora_r": 8, "learning_rate": "1e-4"}
    assert parse_config(read.values).learning_rate == 1e-4
    assert [(note.values["key"], "left out" in note.template) for note in read.notes] == [
        ("finetuning_type", True),
        ("flash_attn", True),
        ("template", False),
    ]
    assert read_foreign("base_model: x\noptimizer: adamw_bnb_8bit\n").values == {"optim": "adamw_8bit"}


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "colour: blue", "1: 2", ""])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_foreign(text)
    assert refused.value.field == "config"
