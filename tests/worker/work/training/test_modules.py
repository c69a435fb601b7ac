"""The linear layers of models, seen without their weights."""

from collections import Counter
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    GPT2Config,
    GptOssConfig,
    Phi3Config,
    SiglipVisionConfig,
)

from worker.work.training.modules import LayerKind, LeftOut, linear_modules, reachable

TINY: dict[str, Any] = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 48, "vocab_size": 99}


def built(config: Any) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]


def lasts(names: list[str]) -> dict[str, int]:
    return dict(Counter(name.rpartition(".")[2] for name in names))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Phi3Config(**TINY, pad_token_id=0), {"o_proj": 2, "qkv_proj": 2, "gate_up_proj": 2, "down_proj": 2}),
        (GPT2Config(n_layer=2, n_embd=48), {"c_attn": 2, "c_proj": 4, "c_fc": 2}),
    ],
    ids=["several in one", "transposed"],
)
def test_every_layer_but_the_one_that_makes_the_logits_may_have_an_adapter(
    config: Any, expected: dict[str, int]
) -> None:
    model = built(config)
    assert lasts(reachable(model)) == expected
    assert [m.name for m in linear_modules(model) if m.left_out is LeftOut.OUTPUT] == ["lm_head"]


def test_experts_are_stacked_in_parameters_of_a_module() -> None:
    stacks = [m for m in linear_modules(built(GptOssConfig(**TINY, num_local_experts=4))) if m.count > 1]
    assert [(m.name.rpartition("layers.")[2], m.kind, m.count) for m in stacks[:2]] == [
        ("0.mlp.experts.gate_up_proj", LayerKind.EXPERTS, 4),
        ("0.mlp.experts.down_proj", LayerKind.EXPERTS, 4),
    ]
    assert [(m.in_features, m.out_features) for m in stacks[:2]] == [(64, 96), (48, 64)]


def test_layers_that_no_text_passes_are_another_tower() -> None:
    vision = SiglipVisionConfig(num_hidden_layers=1, hidden_size=48, intermediate_size=32)
    model = built(Gemma3Config(text_config=TINY, vision_config=vision.to_dict()))
    assert all("language_model" in name for name in reachable(model))
    others = [m.name for m in linear_modules(model) if m.left_out is LeftOut.OTHER_TOWER]
    assert any(name.endswith("vision_tower.encoder.layers.0.self_attn.q_proj") for name in others)
