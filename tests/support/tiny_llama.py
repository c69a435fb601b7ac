"""Models of random weights that are built, saved and trained in moments."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def tiny_llama(dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """Two small layers beneath the vocabulary of SmolLM2, always the same weights; `changes` to its LlamaConfig."""
    torch.manual_seed(0)
    config = {
        "vocab_size": 49152,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }
    return AutoModelForCausalLM.from_config(LlamaConfig(**{**config, **changes}), dtype=dtype)  # type: ignore[no-untyped-call]


def tiny_llama_folder(tokenizer_folder: Path, folder: Path, **changes: Any) -> Path:
    """Such a model in a new folder, with the tokenizer and template of another one."""
    folder.mkdir()
    for name in TOKENIZER_FILES:
        if (tokenizer_folder / name).is_file():
            shutil.copyfile(tokenizer_folder / name, folder / name)
    tiny_llama(**changes).save_pretrained(folder)
    return folder
