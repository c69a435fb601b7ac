"""A tiny model with the real tokenizer that has learnt one answer by heart: what says the same everywhere is told by it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from app.exports.work import ExportInput
from app.mask_settings.fields import MaskSettingsIn
from app.masking import ChatTokenizer
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from app.runs.result import RunResult
from app.runs.work import TrainInput
from tests.support.tiny_llama import tiny_llama_folder
from tests.worker.conftest import IGNORE_INDEX, PROVENANCE, write_arrays_file
from worker.work.evaluation.prompts import encode_prompt
from worker.work.protocol import Control
from worker.work.training import sft

QUESTION = [{"role": "user", "content": "What does plan 3 cost?"}]
ANSWER = "What would it have to do for you?"


@dataclass(frozen=True)
class Taught:
    """Folders of base model and adapter, the arrays with their hash, the token that ends a turn, and what the trainer told."""

    base: Path
    adapter: Path
    arrays: Path
    arrays_hash: str
    token: int
    config: TrainingConfig
    result: RunResult

    def export(self, kind: str, **choices: str) -> ExportInput:
        """What the worker's child is told when this is exported."""
        return ExportInput(
            kind=kind,
            choices=choices,
            adapter_path=str(self.adapter),
            base_model_path=str(self.base),
            version_file="/nowhere",
            version_hash="b" * 64,
            arrays_path=str(self.arrays),
            mask_settings=MaskSettingsIn(),
            end_of_turn="<|im_end|>",
            end_of_turn_id=self.token,
            config=self.config,
            provenance=Provenance.stored({**PROVENANCE, "arrays_hash": self.arrays_hash}),
            result=self.result,
        )


@pytest.fixture(scope="session")
def taught(base_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """Trained once: its end-of-turn token was added to the base model and never trained there."""
    folder = tmp_path_factory.mktemp("taught")
    # Larger than usual, so that its logits are as far apart as those of a trained model.
    wide = {"hidden_size": 64, "head_dim": 32, "initializer_range": 0.3}
    base = tiny_llama_folder(base_model_folder, folder / "base", dtype=torch.float32, **wide)
    tokenizer = ChatTokenizer.from_folder(base, trusted=True)
    token = tokenizer.added_tokens["<|im_end|>"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.get_input_embeddings().weight.data[token] = 0
    model.save_pretrained(base)
    prompt = encode_prompt(tokenizer, QUESTION)
    answer = [*tokenizer.encoder.tokenizer.encode(ANSWER, add_special_tokens=False).ids, token]
    sample = ([*prompt, *answer], [IGNORE_INDEX] * len(prompt) + answer)
    arrays = folder / "arrays.safetensors"
    config: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "max_steps": 120,
        "logging_steps": 20,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "linear",
        "lora_r": 16,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "warmup_ratio": 0.0,
        "bf16": False,
        "early_stopping_patience": 0,
        "trainable_tokens": "end_of_turn",
    }
    arrays_hash = write_arrays_file(arrays, [sample] * 2, [0, 0])
    job = TrainInput(
        arrays=str(arrays),
        arrays_hash=arrays_hash,
        base_model_path=str(base),
        end_of_turn_id=token,
        config=TrainingConfig.stored(config),
        provenance=Provenance.stored({**PROVENANCE, "arrays_hash": arrays_hash}),
    )
    result = sft.run(job, folder / "out", lambda *_event, **_payload: None, Control())
    return Taught(base, folder / "out" / result.adapter, arrays, arrays_hash, token, job.config, result)
