"""The packed pass against the model's own, on small random models of several architectures."""

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GraniteConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.worker.conftest import Recorder, random_samples
from worker.training.attention import PACKED_ATTENTION
from worker.training.config import TrainConfig
from worker.training.data import pack
from worker.training.forward import PackedPass, PlainPass, choose_pass
from worker.training.model import add_adapter

SMALL: dict[str, Any] = {
    "vocab_size": 5000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


def _batch() -> dict[str, Any]:
    samples = random_samples([9, 14, 11])
    return pack(
        [
            {"index": i, "input_ids": _array(ids), "labels": _array(labels)}
            for i, (ids, labels) in enumerate(samples)
        ]
    )


def _array(values: list[int]) -> Any:
    return torch.tensor(values).numpy()


def _model(config: Any) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation=PACKED_ATTENTION
    )
    adapted = add_adapter(model, TrainConfig(r=4, lora_alpha=8, lora_dropout=0.0))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return adapted


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SMALL),
        Qwen3Config(**SMALL, tie_word_embeddings=True),
        MistralConfig(**SMALL, sliding_window=4),
    ],
    ids=["biases", "query norms", "sliding window"],
)
def test_a_packed_row_gives_the_loss_and_gradients_of_the_models_own_forward(
    config: Any, emit: Recorder
) -> None:
    model, batch = _model(config), _batch()
    packed = choose_pass(model, batch, torch.float32, emit)
    assert isinstance(packed, PackedPass)
    assert not emit.events
    trained = [p for p in model.parameters() if p.requires_grad]
    found_loss = packed(batch)
    found = torch.autograd.grad(found_loss, trained)
    model.set_attn_implementation("eager")
    plain_loss = PlainPass(model)(batch)
    expected = torch.autograd.grad(plain_loss, trained)
    torch.testing.assert_close(found_loss, plain_loss, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        Gemma2Config(**SMALL, attn_logit_softcapping=1.0, final_logit_softcapping=1.0),
        GraniteConfig(**{k: v for k, v in SMALL.items() if k != "head_dim"}, logits_scaling=8.0),
    ],
    ids=["capped logits", "scaled logits"],
)
def test_a_model_that_does_more_than_the_packed_pass_knows_is_trained_its_own_way(
    config: Any, emit: Recorder
) -> None:
    model, batch = _model(config), _batch()
    chosen = choose_pass(model, batch, torch.float32, emit)
    assert isinstance(chosen, PlainPass)
    assert "one at a time" in emit.of("log")[0]["message"]
    chosen(batch).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
