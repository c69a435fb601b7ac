"""Each kind of model and of tokenizer that is written as GGUF is read by llama.cpp as transformers computes it."""

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from app.exports.kinds import GGUF_MODELS
from tests.masking.test_other_vocabularies import CORPUS, gemma_like, llama2_like
from tests.support.llama_cpp import llama_server
from worker.work.exporting.gguf_layout import LAYOUTS, layout_of, weights_of, write_figures
from worker.work.exporting.gguf_vocabulary import read_vocabulary, splitting
from worker.work.protocol import JobFailed

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "It's 12345 a month, isn't it?\n\n  Yes\tSO we'll  see.",
    "价格是 2026 年的，您好！ <|im_end|>\n",
    " leading and trailing  ",
    "naïve 🙂 ﬁ ",
]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(*before: Any, normalizer: Any = None, use_regex: bool = False, bos: bool = False) -> Tokenizer:
    """Byte-level BPE that splits text in this way."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, last])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*CORPUS, *TEXTS * 5], trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


def isolated(regex: str) -> Any:
    return pre_tokenizers.Split(Regex(regex), "isolated")


SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
KINDS: dict[str, tuple[type[PretrainedConfig], dict[str, Any], Any]] = {
    "llama3": (
        LlamaConfig,
        {"rope_parameters": LLAMA3_ROPE, "attention_bias": True, "tie_word_embeddings": True},
        lambda: byte_level(isolated(LLAMA3), bos=True),
    ),
    "llama, stretched": (
        LlamaConfig,
        {"rope_parameters": LINEAR_ROPE, "tie_word_embeddings": False},
        lambda: byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True),
    ),
    "mistral": (MistralConfig, {"sliding_window": None, "head_dim": 32}, llama2_like),
    "llama with gemma's tokenizer": (LlamaConfig, {}, gemma_like),
    "qwen2": (
        Qwen2Config,
        {},
        lambda: byte_level(isolated(LLAMA3.replace("{1,3}", "")), normalizer=normalizers.NFC()),
    ),
    "qwen3": (Qwen3Config, {"head_dim": 32}, lambda: byte_level(use_regex=True)),
}


def test_what_is_written_is_what_was_read_back_and_the_same_at_every_door() -> None:
    read_back = {config.model_type for config, _changes, _tokenizer in KINDS.values()}
    assert set(LAYOUTS) == read_back == set(GGUF_MODELS.values())
    assert {MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]: kind for kind in LAYOUTS} == GGUF_MODELS


@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_computes_what_transformers_computes(kind: str, tmp_path: Path) -> None:
    config_type, changes, make_tokenizer = KINDS[kind]
    tokenizer = make_tokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    # More rows than tokens, as many models have.
    config = config_type(**{**SMALL, **changes, "vocab_size": tokenizer.get_vocab_size() + 5})
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.2)
    path = tmp_path / "model.gguf"
    write_exactly(path, model, tmp_path)
    with llama_server(path, context=256) as server:
        for text in TEXTS:
            asked = {"content": text, "add_special": True, "parse_special": True}
            found = server.post("/tokenize", json=asked).json()["tokens"]
            assert found == tokenizer.encode(text).ids, text
        ids = tokenizer.encode(" ".join(TEXTS)).ids
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        # The longest beginning after which a word comes: of control tokens and half letters llama.cpp tells nothing.
        ordinary = {
            number for word, number in tokenizer.get_vocab().items() if word.isascii() and word.isalpha()
        }
        length = max(place + 1 for place, row in enumerate(logits) if int(row.argmax()) in ordinary)
        asked = {
            "prompt": ids[:length],
            "n_predict": 1,
            "n_probs": 8,
            "temperature": 0,
            "cache_prompt": False,
        }
        told = server.post("/completion", json=asked).json()["completion_probabilities"][0]["top_logprobs"]
    assert length > len(ids) // 4
    here = logits[length - 1]
    assert [one["id"] for one in told] == here.topk(8).indices.tolist()
    for one in told:
        assert one["logprob"] == pytest.approx(here[one["id"]].item(), abs=0.02)


def write_exactly(path: Path, model: Any, folder: Path) -> None:
    """All in fp32: what differs then is the layout and not the rounding."""
    layout = layout_of(model.config)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[layout.arch])
    write_figures(writer, model.config)
    read_vocabulary(folder, model.config.vocab_size).write(writer)
    writer.add_eos_token_id(SPECIAL.index("<|im_end|>"))
    for name, weight in weights_of(model, layout):
        writer.add_tensor(name, weight.detach().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "gpt2"}, "kind gpt2"),
        ({"hidden_act": "gelu"}, "hidden_act: gelu"),
        (
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1.0, "factor": 2.0}},
            "rope_type: dynamic",
        ),
        ({"sliding_window": 16}, "sliding_window: 16"),
    ],
)
def test_what_would_come_out_as_another_model_is_refused(change: dict[str, Any], says: str) -> None:
    config = MistralConfig(**{**SMALL, "sliding_window": None})
    for name, value in change.items():
        setattr(config, name, value)
    with pytest.raises(JobFailed, match=says):
        layout_of(config)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer: Whitespace"),
        (
            {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated"}},
            "pre_tokenizer: a",
        ),
        ({"normalizer": {"type": "Lowercase"}}, "normalizer: Lowercase"),
    ],
)
def test_a_tokenizer_that_llama_cpp_would_read_otherwise_is_refused(
    change: dict[str, Any], says: str
) -> None:
    document = json.loads(byte_level(use_regex=True).to_str())
    assert splitting(document) == "gpt-2"
    with pytest.raises(JobFailed, match=says):
        splitting({**document, **change})
