"""Which layers the adapter goes on, what is said of those that it leaves out, and what PEFT alone reads of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from app.recipes.config import TrainingConfig
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.families import VOCABULARY, tiny_model
from worker.work.protocol import JobFailed
from worker.work.training.adapter import Reached, add_adapter


def reached(
    kind: str, emit: Recorder, targets: Any = "all-linear", dropout: float = 0.0
) -> tuple[Any, Reached]:
    config = TrainingConfig(lora_r=2, lora_alpha=4, lora_dropout=dropout, lora_target_modules=targets)
    return add_adapter(tiny_model(kind), config, emit)


@pytest.mark.parametrize(
    ("kind", "targets", "adapted"),
    [
        ("phi3", ["q_proj", "v_proj"], {"qkv_proj": 2}),
        ("gpt2", ["q_proj", "v_proj", "o_proj"], {"c_attn": 2, "c_proj": 2}),
        ("falcon", ["q_proj", "k_proj", "v_proj", "o_proj"], {"query_key_value": 2, "dense": 2}),
        ("gpt_oss", ["q_proj", "experts.down_proj"], {"q_proj": 2, "experts.down_proj": 2}),
        ("qwen2_moe", ["gate_proj", "up_proj"], {"gate_proj": 2, "up_proj": 2}),
        # Layers of the same names are in its vision tower, which no text passes, and in its Mamba layers.
        ("gemma3", ["q_proj", "v_proj"], {"q_proj": 2, "v_proj": 2}),
        ("zamba2", ["q_proj", "o_proj"], {"q_proj": 1, "o_proj": 1}),
    ],
)
def test_names_are_found_by_what_the_model_calls_them(
    kind: str, targets: list[str], adapted: dict[str, int], emit: Recorder
) -> None:
    _, found = reached(kind, emit, targets)
    assert found.adapted == adapted
    told = [said(event) for event in emit.of("log")]
    assert any("no layer called q_proj" in line for line in told) == (kind in ("phi3", "gpt2", "falcon"))
    assert told[-1].startswith("The adapter is on: ")


def test_a_name_that_no_layer_has_is_refused_with_those_that_there_are(emit: Recorder) -> None:
    with pytest.raises(JobFailed, match=r"no layer q_proj.*of: in_proj, x_proj, dt_proj"):
        reached("mamba", emit, ["q_proj"])


@pytest.mark.parametrize(
    ("kind", "without"),
    [
        ("gemma3", {"fc1": 2, "fc2": 2, "k_proj": 1, "v_proj": 1, "q_proj": 1, "out_proj": 2, "lm_head": 1}),
        ("falcon_h1", {"out_proj": 2, "lm_head": 1}),
        ("qwen2_moe", {"experts.gate_up_proj": 2, "experts.down_proj": 2, "lm_head": 1}),
        ("llama4_text", {"experts.gate_up_proj": 2, "experts.down_proj": 2, "router": 2, "lm_head": 1}),
    ],
    ids=["another tower", "read past their forward", "stacked experts", "routers"],
)
def test_all_linear_layers_are_those_of_the_language_model_and_what_is_left_out_is_named(
    kind: str, without: dict[str, int], emit: Recorder
) -> None:
    _, found = reached(kind, emit)
    assert found.left_out == without
    assert "lm_head × 1" in said(emit.of("log")[-1])


def test_where_experts_are_adapted_there_is_no_dropout_and_the_log_says_so(
    emit: Recorder, tmp_path: Path
) -> None:
    model, found = reached("mixtral", emit, dropout=0.05)
    assert found.adapted["experts.gate_up_proj"] == 2
    assert "without dropout" in said(emit.of("log")[0])
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path)
    ids = torch.arange(3, 20)[None] % VOCABULARY
    alone = PeftModel.from_pretrained(tiny_model("mixtral"), tmp_path).eval()
    torch.testing.assert_close(alone(input_ids=ids).logits, model.eval()(input_ids=ids).logits)
