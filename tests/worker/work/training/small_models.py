"""Small random models with an adapter, and batches for them."""

from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from app.recipes.config import TrainingConfig
from tests.worker.conftest import Recorder, random_samples
from worker.work.training.adapter import add_adapter
from worker.work.training.attention import PACKED_ATTENTION
from worker.work.training.data import Batch, on_device, pack
from worker.work.training.trial import Trial, set_attention

SMALL: dict[str, Any] = {
    "vocab_size": 5000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


def adapted(config: Any, dropout: float = 0.0, *, packed: bool = True) -> Any:
    """A model of this transformers configuration in fp32, whose adapter does something already."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    found, _ = add_adapter(model, TrainingConfig(lora_r=4, lora_alpha=8, lora_dropout=dropout), Recorder())
    if packed:
        assert set_attention(found, PACKED_ATTENTION)
    for name, parameter in found.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return found


def batch_of(lengths: list[int], first_index: int = 0) -> Batch:
    """Conversations of so many random tokens, numbered from `first_index` on."""
    return pack(
        [
            {"index": index, "input_ids": np.asarray(ids), "labels": np.asarray(labels)}
            for index, (ids, labels) in enumerate(random_samples(lengths), first_index)
        ]
    )


def trial_of(
    lengths: list[int],
    vocabulary: int = 5000,
    device: torch.device = torch.device("cpu"),  # noqa: B008
) -> Trial:
    """What a run with conversations of so many tokens tries its passes on."""
    short, *_, long = sorted(lengths)
    batches = batch_of(sorted(lengths)[:2]), batch_of([long, short])
    for batch in batches:
        batch["input_ids"] %= vocabulary
        batch["labels"][batch["labels"] >= 0] %= vocabulary
    return Trial(*(on_device(batch, device) for batch in batches))


def batch_that_begins_alike(shared: int, lengths: list[int], vocabulary: int = 5000) -> Batch:
    """Conversations of so many random tokens, all trained, whose first `shared` are the same."""
    batch = batch_of(lengths)
    batch["input_ids"] %= vocabulary
    for start in batch["borders"][:-1]:
        batch["input_ids"][0, start : start + shared] = batch["input_ids"][0, :shared]
    batch["labels"] = batch["input_ids"].clone()
    return batch
