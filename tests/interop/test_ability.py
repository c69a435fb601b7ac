"""What a tool cannot train as a backend is refused by the field that asks for it; what it can is not."""

import pytest

from app.core.errors import Invalid
from app.interop.ability import require_able, require_liger_installed
from app.interop.handing import TOOL_NAMES, TOOLS, Tool
from app.recipes.config import TrainingConfig

EVERY = {
    "max_train_minutes": 5.0,
    "sample_count": 2,
    "sample_prompts": "What does it cost?",
    "mix_order": "curriculum",
}
# TRL alone is started by accelerate.
OTHERS = [tool for tool in TOOLS if tool != "trl"]
CASES = [
    *((tool, name, value, False) for tool in TOOLS for name, value in EVERY.items()),
    *((tool, "num_processes", 2, False) for tool in ("axolotl", "unsloth")),
    *((tool, "accelerate_config", "fsdp.yaml", False) for tool in OTHERS),
    *((tool, "load_in_4bit", True, True) for tool in TOOLS),
    *((tool, "use_liger_kernel", True, tool != "unsloth") for tool in TOOLS),
    ("axolotl", "bf16", True, True),
    ("unsloth", "bf16", True, True),
    ("unsloth", "use_dora", True, False),
    ("unsloth", "trainable_tokens", "end_of_turn", False),
    ("llamafactory", "trainable_tokens", "end_of_turn", False),
]


@pytest.mark.parametrize(("tool", "field", "value", "only_without_a_gpu"), CASES)
def test_what_it_cannot_do_is_refused_by_name(
    tool: Tool, field: str, value: object, only_without_a_gpu: bool
) -> None:
    config = TrainingConfig(**{"backend": tool, "sample_count": 0, field: value})
    with pytest.raises(Invalid) as refused:
        require_able(config, tool, on_cpu=True, end_of_turn_id=2)
    assert refused.value.field == field
    said = str(refused.value)
    assert TOOL_NAMES[tool] in said
    assert field in said
    assert "backend" in said
    if only_without_a_gpu:
        require_able(config, tool, on_cpu=False, end_of_turn_id=2)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_recipe_as_it_stands_is_no_trouble(tool: Tool) -> None:
    require_able(TrainingConfig(backend=tool, sample_count=0), tool, on_cpu=True, end_of_turn_id=2)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_weight_is_trained_too_by_any_tool(tool: Tool) -> None:
    config = TrainingConfig(backend=tool, use_peft=False, sample_count=0, trainable_tokens="end_of_turn")
    require_able(config, tool, on_cpu=True, end_of_turn_id=2)
    half = config.model_copy(update={"bf16": True})
    require_able(half, tool, on_cpu=False, end_of_turn_id=2)
    if tool == "trl":
        require_able(half, tool, on_cpu=True, end_of_turn_id=2)
        return
    with pytest.raises(Invalid) as refused:
        require_able(half, tool, on_cpu=True, end_of_turn_id=2)
    assert refused.value.field == "bf16"


def test_trl_trains_every_weight_in_several_processes() -> None:
    config = TrainingConfig(backend="trl", use_peft=False, sample_count=0, num_processes=2)
    require_able(config, "trl", on_cpu=True, end_of_turn_id=2)


def test_kernels_have_to_be_where_the_tool_is() -> None:
    asked = TrainingConfig(backend="trl", use_liger_kernel=True)
    require_liger_installed(asked, "trl", has_liger=True)
    require_liger_installed(TrainingConfig(backend="trl"), "trl", has_liger=False)
    with pytest.raises(Invalid, match="liger-kernel where TRL is installed") as refused:
        require_liger_installed(asked, "trl", has_liger=False)
    assert refused.value.field == "use_liger_kernel"
