"""Another tool is told of the layers of a run by names with which PEFT finds the very same."""

from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

from app.recipes.config import TrainingConfig
from tests.worker.conftest import Recorder
from tests.worker.work.training.families import tiny_model
from worker.work.backends.folder import wanted_layers
from worker.work.training.adapter import add_adapter

SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def adapted(model: Any) -> set[str]:
    return {name for name, module in model.get_base_model().named_modules() if isinstance(module, LoraLayer)}


@pytest.mark.parametrize(
    ("kind", "wanted", "names"),
    [
        ("llama", "all-linear", SEVEN),
        ("llama", ["v_proj", "q_proj"], ("v_proj", "q_proj")),
        # Other names than most models have.
        ("phi3", ["q_proj", "v_proj"], ("qkv_proj",)),
        # Layers of the same names are in its vision tower, which no text passes; some have names of their own.
        ("gemma3", "all-linear", None),
        ("gemma3", ["q_proj", "v_proj"], None),
        ("gemma3", ["o_proj", "up_proj"], ("o_proj", "up_proj")),
    ],
)
def test_peft_finds_the_layers_of_a_run_by_the_names_that_tools_are_given(
    kind: str, wanted: Any, names: tuple[str, ...] | None, emit: Recorder
) -> None:
    config = TrainingConfig(lora_r=2, lora_alpha=4, lora_target_modules=wanted)
    found = wanted_layers(tiny_model(kind), config, emit)
    assert found is not None
    assert found == names or (names is None and all(".layers." in name for name in found))
    ours, _reached = add_adapter(tiny_model(kind), config, emit)
    theirs = get_peft_model(
        tiny_model(kind), LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=list(found))
    )
    assert adapted(theirs) == adapted(ours)
