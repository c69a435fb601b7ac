"""What all trainers are given: a run of the studio on the sample dialogues, and its losses as the worker trains it."""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.interop.handing import HandedRun
from app.masking import (
    ArraysBuilder,
    ChatTokenizer,
    MaskArrays,
    MaskSettings,
    Split,
    mask_conversations,
    write_arrays,
)
from app.recipes.config import TrainingConfig
from app.recipes.recipes import build_config
from tests.benchmarks.dialogues import sample_dialogues
from tests.benchmarks.measuring import median
from tests.interop.every_kind import arrays_of_every_kind
from tests.support.said import said
from tests.support.small_model import small_model_folder
from tests.worker.conftest import PROVENANCE
from worker.parent.allocator import allocator_environment
from worker.parent.child_process import ChildProcess

STEPS = 10
BATCH = 2
DIALOGUES = 20
HELD_OUT = 4
# Steps before speed is looked at.
WARM_UP = 2


@dataclass
class Trained:
    """Losses and gradient norms by step, seconds of each step after the warm-up, and the highest memory of the process in bytes.

    `batches` holds for each batch its rows of (ids, labels) without padding.
    """

    losses: dict[int, float] = field(default_factory=dict)
    norms: dict[int, float | None] = field(default_factory=dict)
    held_out: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int = 0
    batches: list[list[tuple[list[int], list[int]]]] = field(default_factory=list)

    def trained_in(self, batch: int) -> int:
        """Labels of a batch that the loss sees."""
        return sum(label != -100 for _ids, labels in self.batches[batch] for label in labels[1:])

    def tokens_in(self, batch: int) -> int:
        return sum(len(ids) for ids, _labels in self.batches[batch])

    def first_norm_apart(self, other: "Trained") -> float:
        """How far the first step's gradient is from another's, as a share; infinite where nobody told it.

        Other first weights of an adapter show in it before they show in a loss.
        """
        first = min(other.norms, default=0)
        found, wanted = self.norms.get(first), other.norms.get(first)
        return abs(found - wanted) / wanted if found and wanted else math.inf

    def speeds(self) -> list[float]:
        """Tokens a second of each step; padding does not count."""
        return [self.tokens_in(step) / seconds for step, seconds in enumerate(self.seconds)]

    def tokens_per_second(self) -> float:
        """The median step's, after the warm-up."""
        return median(self.speeds()[WARM_UP:])


@dataclass(frozen=True)
class Material:
    arrays: MaskArrays
    path: Path
    run: HandedRun


def config_of(**changes: Any) -> TrainingConfig:
    """The recipe “standard”, short, without dropout, in the precision that every machine has."""
    values: dict[str, Any] = {
        "max_steps": STEPS,
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": 1,
        "lora_dropout": 0.0,
        "warmup_steps": 2,
        "logging_steps": 1,
        "eval_steps": 5,
        "save_steps": STEPS,
        "early_stopping_patience": 0,
        "bf16": False,
    }
    return build_config("standard", {**values, **changes})


def prepare(model: Path, folder: Path, config: TrainingConfig) -> Material:
    """The shipped dialogues with a few turns flagged, as the arrays of a mask check."""
    settings = MaskSettings()
    tokenizer = ChatTokenizer.from_folder(model, trusted=True)
    # So few that ten steps are two epochs.
    dialogues = sample_dialogues()[:DIALOGUES]
    for dialogue in dialogues[::3]:
        next(one for one in dialogue["messages"] if one["role"] == "assistant")["train"] = False
    builder = ArraysBuilder(settings, str(model), frozenset(range(HELD_OUT)))
    for masked in mask_conversations(tokenizer, enumerate(dialogues), settings):
        for sample in masked.samples:
            builder.add(masked.conversation_id, sample.input_ids, sample.labels)
    return material_of(model, folder, config, builder.finish())


def material_of(model: Path, folder: Path, config: TrainingConfig, arrays: MaskArrays) -> Material:
    """The arrays as a file, and a run on them."""
    path = folder / "arrays.safetensors"
    write_arrays(path, arrays)
    run = HandedRun(
        name="interop",
        title="Interoperability",
        config=config,
        model=str(model),
        samples=len(arrays.places(Split.TRAIN)),
        held_out=len(arrays.places(Split.VALIDATION)),
        longest=int((arrays.offsets[1:] - arrays.offsets[:-1]).max()),
        layers=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    )
    return Material(arrays, path, run)


def bundled_model(folder: Path) -> Path:
    """The bundled model, said to be float32: LLaMA-Factory computes in what the config says, and knows no other way."""
    place = folder / "model"
    place.mkdir()
    for path in small_model_folder().iterdir():
        if path.name != "config.json":
            (place / path.name).symlink_to(path)
    config = json.loads((small_model_folder() / "config.json").read_text("utf-8"))
    config.pop("torch_dtype", None)
    (place / "config.json").write_text(json.dumps({**config, "dtype": "float32"}), "utf-8")
    return place


def tiny_model(folder: Path) -> Path:
    """Two layers of random weights with the bundled model's tokenizer: as quick as a model can be."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    place = folder / "tiny"
    place.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copy(small_model_folder() / name, place / name)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(place)
    return place


def every_kind(model: Path, folder: Path) -> Material:
    """Samples of every template, for one epoch in batches."""
    tokenizer = ChatTokenizer.from_folder(model, trusted=True)
    arrays = arrays_of_every_kind(tokenizer)
    config = config_of(max_steps=-1, num_train_epochs=1, warmup_steps=0, warmup_ratio=0, eval_steps=1000)
    return material_of(model, folder, config, arrays)


def expected_batches(material: Material) -> list[list[tuple[list[int], list[int]]]]:
    """The batches as the studio trains them, epoch by epoch."""
    from worker.work.training.data import epoch_order

    arrays, config = material.arrays, material.run.config
    places = arrays.places(Split.TRAIN)
    size = config.per_device_train_batch_size
    rows = [(ids.tolist(), labels.tolist()) for ids, labels in (arrays.sample(int(at)) for at in places)]
    found = []
    steps = max(STEPS, config.max_steps)
    for epoch in range(math.ceil(steps / math.ceil(len(rows) / size))):
        order = epoch_order(len(rows), config.seed, epoch)
        found += [[rows[at] for at in order[start : start + size]] for start in range(0, len(rows), size)]
    return found


def train_in_the_studio(
    material: Material, folder: Path, after_step: Callable[[Trained], None] = lambda _trained: None
) -> Trained:
    """A run exactly as the worker starts one: its child process, its environment, its protocol. `after_step` gets all that was
    told until then."""
    folder.mkdir()
    job = folder / "job.json"
    job_input = {
        "arrays": str(material.path),
        "arrays_hash": material.arrays.hash,
        "base_model_path": material.run.model,
        "config": material.run.config.to_json(),
        "provenance": PROVENANCE,
        "resume_from": None,
    }
    whole = {
        "kind": "train",
        "job_id": 1,
        "attempt": 1,
        "input": job_input,
        "output_dir": str(folder / "out"),
    }
    job.write_text(json.dumps(whole))
    found, before = Trained(batches=expected_batches(material)), 0.0
    child = ChildProcess(job, folder / "log.txt", allocator_environment())
    child.start()
    try:
        while not child.ended:
            for message in child.messages(wait_seconds=0.02):
                match message["event"]:
                    case "metric":
                        found.losses[message["step"]] = message["loss"]
                        found.norms[message["step"]] = message["grad_norm"]
                    case "eval":
                        found.held_out[message["step"]] = message["eval_loss"]
                    case "progress":
                        now = time.perf_counter()
                        found.seconds.append(now - before)
                        before = now
                        after_step(found)
                    case "result":
                        found.peak_memory_bytes = message["peak_memory_bytes"]
                    case "failed":
                        raise RuntimeError(said(message))
    finally:
        child.close()
    return found
