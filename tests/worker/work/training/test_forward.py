"""The packed pass against the model's own, on small random models of several architectures."""

from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    GraniteConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.small_models import SMALL, adapted, batch_of
from worker.work.training.forward import PackedPass, PlainPass, choose_pass

LENGTHS = [9, 14, 11]


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
    model, batch = adapted(config), batch_of(LENGTHS)
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
    model, batch = adapted(config), batch_of(LENGTHS)
    chosen = choose_pass(model, batch, torch.float32, emit)
    assert isinstance(chosen, PlainPass)
    assert "one at a time" in said(emit.of("log")[0])
    chosen(batch).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
