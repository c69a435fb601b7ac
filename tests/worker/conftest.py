"""The real small model and tiny arrays for it, in the file format that masking writes."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from app.core.settings import Settings
from app.masking.settings import MaskSettings
from app.runs.provenance import Provenance
from tests.support.installation import Ready, installed, prepare
from tests.support.tiny_llama import tiny_llama_folder
from tests.support.workers import running_worker
from worker.work.protocol import Control

IGNORE_INDEX = -100
SETTINGS = MaskSettings().to_json()


PROVENANCE = Provenance(
    run="Calls v1",
    dataset="Calls",
    version=1,
    version_hash="b" * 64,
    conversations=6,
    held_out=2,
    arrays_hash="a" * 64,
    recipe="quick",
    base_model="org/chat",
    base_revision="c" * 40,
    base_licence="apache-2.0",
).to_json()


class Recorder:
    """An Emit that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: str, /, **payload: Any) -> None:
        json.dumps(payload)  # an event has to be plain JSON
        self.events.append({"event": event, **payload})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from a second thread, and on a busy machine threads wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def emit() -> Recorder:
    return Recorder()


@pytest.fixture
def control() -> Control:
    return Control()


def write_arrays_file(
    path: Path, samples: list[tuple[list[int], list[int]]], split: list[int], told_hash: str | None = None
) -> str:
    """Write (input_ids, labels) pairs by the contract of the arrays file; returns the hash of them."""
    input_ids = np.concatenate([np.asarray(ids, np.int32) for ids, _ in samples])
    labels = np.concatenate([np.asarray(labels, np.int32) for _, labels in samples])
    offsets = np.cumsum([0, *(len(ids) for ids, _ in samples)], dtype=np.int64)
    digest = hashlib.sha256()
    for array in (input_ids, labels, offsets):
        digest.update(array.tobytes())
    save_file(
        {
            "input_ids": input_ids,
            "labels": labels,
            "offsets": offsets,
            "conversation_ids": np.arange(101, 101 + len(samples), dtype=np.int64),
            "split": np.asarray(split, np.int8),
        },
        path,
        {"hash": told_hash or digest.hexdigest(), "settings": SETTINGS, "base_model": "smollm2"},
    )
    return digest.hexdigest()


def random_samples(
    lengths: list[int], seed: int = 0, trained_share: float = 0.5
) -> list[tuple[list[int], list[int]]]:
    generator = np.random.default_rng(seed)
    samples = []
    for length in lengths:
        ids = generator.integers(20, 5000, length)
        trained = generator.random(length) < trained_share
        trained[0], trained[-1] = False, True
        samples.append((ids.tolist(), np.where(trained, ids, IGNORE_INDEX).tolist()))
    return samples


@pytest.fixture
def job_input(base_model_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Makes the input of a train job over a few short conversations, two of them for validation. `base` is the folder of
    the base model: the real one, unless another says the same sooner."""

    def make(
        lengths: list[int] | None = None, validation: int = 2, base: Path | None = None, **config: Any
    ) -> dict[str, Any]:
        lengths = lengths or [24, 17, 31, 20, 26, 15, 22, 19]
        samples = random_samples(lengths)
        split = [0] * (len(samples) - validation) + [1] * validation
        path = tmp_path / "arrays.safetensors"
        return {
            "arrays": str(path),
            "arrays_hash": write_arrays_file(path, samples, split),
            "base_model_path": str(base or base_model_folder),
            "provenance": PROVENANCE,
            "config": {
                "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 1,
                "max_steps": 3,
                "logging_steps": 1,
                "learning_rate": 1e-3,
                "lr_scheduler_type": "linear",
                "lora_r": 4,
                "lora_alpha": 8,
                "lora_dropout": 0.0,
                "warmup_ratio": 0.0,
                "bf16": False,
                "early_stopping_patience": 0,
                "sample_count": 0,
                **config,
            },
            "resume_from": None,
        }

    return make


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """One on SQLite and a broker in a folder, whose worker looks soon at what waits; its leases last as long as ever."""
    from tests.support.small_runs import base_folder  # which imports what stands here

    model = base_folder()
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("ready") / "data",
        model_roots=(model,),
        reconcile_seconds=1,
    )
    with installed(settings) as studio:
        with running_worker(settings):
            check = studio.check(studio.version(12), prepare(studio, model))
        yield Ready(studio, check)


@pytest.fixture
def small_model(base_model_folder: Path, tmp_path: Path) -> Path:
    """A folder with the real tokenizer and two layers of random weights: quick to load and to break."""
    return tiny_llama_folder(base_model_folder, tmp_path / "small", dtype=torch.bfloat16)
