"""The estimate of a run's memory beside the peak of its real child process, on the real small model.

One cheap point is in every test run; `make memory` takes method × batch × length and notes the peaks, against which
`tests/recipes/test_memory.py` holds the estimate every time.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from app.base_models.facts import ModelFacts
from app.recipes.memory import Work, estimate_memory
from app.recipes.recipes import build_config
from tests.recipes.peaks import CLOSE_ENOUGH, SHORT, Peak, note_peak
from tests.support.said import said
from tests.worker.conftest import PROVENANCE, random_samples, write_arrays_file
from worker.parent.allocator import allocator_environment
from worker.parent.child_process import ChildProcess
from worker.work.describing import layer_facts
from worker.work.training.modules import linear_modules

pytestmark = pytest.mark.model
METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora r16 q,v": {"lora_r": 16, "lora_alpha": 32, "lora_target_modules": "q,v"},
    "dora": {"use_dora": True},
    "qlora": {"load_in_4bit": True, "optim": "adamw_torch"},
    "full": {"use_peft": False},
    "lora, recomputed": {"gradient_checkpointing": True},
    "full, recomputed": {"use_peft": False, "gradient_checkpointing": True},
    "lora, bf16": {"bf16": True},
    "lora, bf16, recomputed": {"bf16": True, "gradient_checkpointing": True},
    "qlora, bf16": {"load_in_4bit": True, "optim": "adamw_torch", "bf16": True},
    "dora, bf16": {"use_dora": True, "bf16": True},
    "full, bf16": {"use_peft": False, "bf16": True},
    "lora, two processes": {"num_processes": 2},
    "qlora, no dropout": {"load_in_4bit": True, "optim": "adamw_torch", "lora_dropout": 0.0},
    "dora, no dropout": {"use_dora": True, "lora_dropout": 0.0},
}
ALL = [(method, batch, length) for method in METHODS for batch in (1, 4) for length in (64, 128, 256)]
ALL += [("lora", batch, 256) for batch in (8, 16)]
WANTS_ALL = bool(os.environ.get("ALL_MEMORY"))
GRID = ALL if WANTS_ALL else [("lora", 1, 64)]


def facts_of(folder: Path) -> ModelFacts:
    """Those that preparing the model would note and the estimate reads."""
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))  # type: ignore[no-untyped-call]
    return ModelFacts(
        parameters=model.num_parameters(),
        vocabulary=model.get_input_embeddings().num_embeddings,
        layers=layer_facts(linear_modules(model)),
    )


def peak_of(model: Path, folder: Path, config: dict[str, Any], batch: int, length: int) -> int:
    """Bytes, of a run of two steps as the worker starts one."""
    samples = random_samples([length] * (2 * batch + 1))
    arrays = folder / "arrays.safetensors"
    job_input = {
        "arrays": str(arrays),
        "arrays_hash": write_arrays_file(arrays, samples, [0] * (2 * batch) + [1]),
        "base_model_path": str(model),
        "config": config,
        "provenance": PROVENANCE,
        "resume_from": None,
    }
    job = {"kind": "train", "job_id": 1, "attempt": 1, "input": job_input, "output_dir": str(folder / "out")}
    (folder / "job.json").write_text(json.dumps(job))
    child = ChildProcess(folder / "job.json", folder / "log.txt", allocator_environment())
    child.start()
    told: list[dict[str, Any]] = []
    try:
        while not child.ended:
            told += child.messages(wait_seconds=1)
    finally:
        child.close()
    assert told[-1]["event"] == "result", said(told[-1])
    return int(told[-1]["peak_memory_bytes"])


@pytest.mark.parametrize(("method", "batch", "length"), GRID)
def test_the_expected_memory_is_near_the_measured_peak(
    method: str, batch: int, length: int, base_model_folder: Path, tmp_path: Path
) -> None:
    changes = {**SHORT, **METHODS[method], "per_device_train_batch_size": batch}
    config = build_config("standard", changes)
    cores = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
    work = Work(batch * length, length, cores, length)
    facts = facts_of(base_model_folder)
    expected = estimate_memory(facts, config, work, half=config.bf16 is True)
    measured = peak_of(base_model_folder, tmp_path, config.to_json(), batch, length)
    if WANTS_ALL:
        note_peak(facts, Peak(changes, batch, length, cores, measured))
    assert expected == pytest.approx(measured, rel=CLOSE_ENOUGH)
