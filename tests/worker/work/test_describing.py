"""What is said of a model: how much it reads, its layers, whether it can stop, its licence."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3Config, GPT2Config, LlamaConfig, MptConfig

from app.base_models.facts import ModelFacts
from tests.support.tiny_llama import tiny_llama
from tests.worker.conftest import Recorder
from tests.worker.work.doing import prepare
from worker.work.describing import context_length, licence_of
from worker.work.new_tokens import is_trained
from worker.work.protocol import Control


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LlamaConfig(max_position_embeddings=2048), 2048),
        (GPT2Config(n_positions=77), 77),
        (Gemma3Config(text_config={"max_position_embeddings": 99}), 99),
        (MptConfig(max_seq_len=55), 55),
        (LlamaConfig(max_position_embeddings=10**30), None),
    ],
    ids=["llama", "gpt2", "within text_config", "mpt", "no length"],
)
def test_the_context_length_is_found_whatever_a_family_calls_it(config: Any, expected: int | None) -> None:
    assert context_length(config) == expected


def _model(*, tied: bool) -> Any:
    return tiny_llama(vocab_size=400, hidden_size=32, tie_word_embeddings=tied)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("made", ["zero", "mean", "copy of an unused row"])
def test_a_row_that_an_added_token_got_is_told_from_one_that_was_trained(tied: bool, made: str) -> None:
    model = _model(tied=tied)
    weight = model.get_output_embeddings().weight.data
    assert is_trained(model, 390, [390, 391], tokens=395)
    weight[390] = {
        "zero": torch.zeros(32),
        "mean": weight[:395].mean(0),
        "copy of an unused row": weight[398],
    }[made]
    assert not is_trained(model, 390, [390, 391], tokens=395)


def test_tokens_that_transformers_adds_count_as_untrained_until_something_trains_them() -> None:
    model = _model(tied=False)
    model.resize_token_embeddings(402, mean_resizing=True)
    assert not is_trained(model, 401, [400, 401], tokens=402)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        torch.nn.init.normal_(layer.weight.data[401], std=0.02)
    assert is_trained(model, 401, [400, 401], tokens=402)


def test_a_prepared_model_says_what_it_is_and_what_is_unusual(
    small_model: Path, tmp_path: Path, emit: Recorder
) -> None:
    """Its end-of-turn token was added and never trained."""
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    model = AutoModelForCausalLM.from_pretrained(small_model)
    model.get_input_embeddings().weight.data[tokenizer.convert_tokens_to_ids("<|im_end|>")] = 0
    model.save_pretrained(small_model)
    (small_model / "README.md").write_text("---\ntags:\n- chat\nlicense: apache-2.0\n---\n# A model\n")
    found = prepare({"source": "local", "reference": str(small_model)}, tmp_path / "out", emit, Control())
    facts = ModelFacts.stored(found["facts"])
    assert (facts.context_length, facts.licence, facts.dtype) == (512, "apache-2.0", "bfloat16")
    assert facts.layer_names == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert [layer.count for layer in facts.adaptable] == [2] * 7
    assert facts.end_of_turn_trained is False
    assert facts.remarks[0].sentence.values == {"token": "<|im_end|>"}
    assert ModelFacts.stored(facts.to_json()) == facts


def test_a_card_without_a_licence_names_none(tmp_path: Path) -> None:
    assert licence_of(tmp_path) is None
    (tmp_path / "README.md").write_text("# license: not in the head\n")
    assert licence_of(tmp_path) is None
