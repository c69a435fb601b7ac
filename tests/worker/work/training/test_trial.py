"""Which pass a model gets: tried on small random models of several architectures, and on some that do not fit."""

from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BloomConfig,
    Gemma2Config,
    GraniteConfig,
    Lfm2Config,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
    RecurrentGemmaConfig,
)

from app.recipes.config import TrainingConfig
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.families import VOCABULARY, tiny_config, tiny_model
from tests.worker.work.training.small_models import SMALL, adapted, batch_of, trial_of
from worker.work.protocol import JobFailed
from worker.work.training.adapter import add_adapter
from worker.work.training.attention import PACKED_ATTENTION
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.trial import choose_pass, set_attention

LENGTHS = [9, 14, 11]
WITHOUT_HEAD_DIM = {name: value for name, value in SMALL.items() if name != "head_dim"}


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
    model, batch = adapted(config, packed=False), batch_of(LENGTHS)
    packed = choose_pass(model, trial_of(LENGTHS), torch.float32, emit)
    assert isinstance(packed, PackedPass)
    assert not emit.events
    trained = [p for p in model.parameters() if p.requires_grad]
    found_loss = packed(batch)
    found = torch.autograd.grad(found_loss, trained)
    assert set_attention(model, "eager")
    plain_loss = PlainPass(model)(batch)
    expected = torch.autograd.grad(plain_loss, trained)
    torch.testing.assert_close(found_loss, plain_loss, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (Gemma2Config(**SMALL, attn_logit_softcapping=1.0, final_logit_softcapping=1.0), "softcap"),
        (GraniteConfig(**WITHOUT_HEAD_DIM, logits_scaling=8.0), "the losses differ"),
        (Lfm2Config(**SMALL, layer_types=["conv", "full_attention"]), "conversations reach each other"),
    ],
    ids=["capped logits", "scaled logits", "convolution over borders"],
)
def test_a_model_that_does_more_than_the_packed_pass_knows_is_trained_its_own_way(
    config: Any, reason: str, emit: Recorder
) -> None:
    model = adapted(config, packed=False)
    own = model.config._attn_implementation
    chosen = choose_pass(model, trial_of(LENGTHS), torch.float32, emit)
    assert isinstance(chosen, PlainPass)
    assert "one at a time" in said(emit.of("log")[0])
    assert reason in said(emit.of("log")[0])
    # as transformers loads it
    assert model.config._attn_implementation == own != PACKED_ATTENTION
    chosen(batch_of(LENGTHS)).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("lfm2", "reach each other"),
        ("falcon_h1", "reach each other"),
        ("plbart", "places are not counted anew"),
    ],
)
def test_rounding_to_half_precision_hides_no_leak(kind: str, reason: str, emit: Recorder) -> None:
    model, _ = add_adapter(tiny_model(kind).bfloat16(), TrainingConfig(lora_r=4), Recorder())
    assert isinstance(choose_pass(model, trial_of(LENGTHS, VOCABULARY), torch.bfloat16, emit), PlainPass)
    assert reason in said(emit.of("log")[0])


@pytest.mark.parametrize("kind", ["bert", "xlm"])
def test_rounding_to_half_precision_hides_no_look_ahead(kind: str, emit: Recorder) -> None:
    model, _ = add_adapter(tiny_model(kind).bfloat16(), TrainingConfig(lora_r=4), Recorder())
    with pytest.raises(JobFailed, match="sees the tokens that it has to predict"):
        choose_pass(model, trial_of(LENGTHS, VOCABULARY), torch.bfloat16, emit)


def test_what_shows_in_long_conversations_only_is_tried_on_the_longest(emit: Recorder) -> None:
    scaled = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8, "long_factor": [8.0] * 8}
    config = tiny_config("phi3")
    config.rope_parameters, config.original_max_position_embeddings = scaled, 24
    model, _ = add_adapter(tiny_model("phi3", config), TrainingConfig(lora_r=4), Recorder())
    assert isinstance(choose_pass(model, trial_of([9, 11, 40], VOCABULARY), torch.float32, emit), PlainPass)
    assert isinstance(choose_pass(model, trial_of(LENGTHS, VOCABULARY), torch.float32, emit), PackedPass)
    assert "the losses differ" in said(emit.of("log")[-1])


def test_a_model_with_an_attention_of_its_own_keeps_it_and_looks_back_only(emit: Recorder) -> None:
    model = adapted(BloomConfig(vocab_size=5000, hidden_size=32, n_layer=2, n_head=4), packed=False)
    chosen = choose_pass(model, trial_of(LENGTHS), torch.float32, emit)
    assert isinstance(chosen, PlainPass)
    assert "its own attention only" in said(emit.of("log")[0])
    ids = batch_of(LENGTHS)["input_ids"][:, :9]
    other = ids.clone()
    other[0, -1] += 1
    assert torch.equal(chosen.logits(ids)[:, :-1], chosen.logits(other)[:, :-1])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (BertConfig(**WITHOUT_HEAD_DIM), "kind bert sees the tokens that it has to predict"),
        (
            RecurrentGemmaConfig(**SMALL, lru_width=32, block_types=["recurrent"], attention_window_size=8),
            "keeps its state",
        ),
    ],
    ids=["looks ahead", "keeps state"],
)
def test_a_model_that_no_way_is_right_for_is_refused_before_it_is_trained(
    config: Any, words: str, emit: Recorder
) -> None:
    with pytest.raises(JobFailed, match=words):
        choose_pass(adapted(config, packed=False), trial_of(LENGTHS), torch.float32, emit)


def test_a_base_model_whose_loss_is_no_number_is_refused(emit: Recorder) -> None:
    model = adapted(Qwen2Config(**SMALL), packed=False)
    model.get_output_embeddings().weight.data[7] = torch.nan
    with pytest.raises(JobFailed, match="weights are damaged"):
        choose_pass(model, trial_of(LENGTHS), torch.float32, emit)
