"""Training: a run as the studio does it against TRL's SFTTrainer with its defaults, each in a process of its own.

Both train the same conversations in the same batches with the same LoRA and schedule. Their losses are
printed side by side: a faster trainer that learns something else would be no faster trainer.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from app.masking import ArraysBuilder, ChatTokenizer, MaskSettings, mask_conversations, write_arrays
from app.recipes.recipes import build_config
from tests.benchmarks.dialogues import plain, sample_dialogues
from tests.benchmarks.masks import MARKED_TEMPLATE
from tests.benchmarks.measuring import Goal, Result, Row, median
from tests.support.said import said
from tests.worker.conftest import PROVENANCE
from worker.parent.child_process import ChildProcess

STEPS, WARM_UP = 4, 1
ROUNDS = 2
# As in the standard recipe.
BATCH, BATCHES_PER_STEP = 4, 4
CHANGES = {
    "max_steps": STEPS,
    "per_device_train_batch_size": BATCH,
    "gradient_accumulation_steps": BATCHES_PER_STEP,
    "logging_steps": 1,
    "early_stopping_patience": 0,
}
PEER_FIELDS = (
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "lr_scheduler_type",
    "weight_decay",
    "max_grad_norm",
    "seed",
)
# Of the loss: what rounding and other draws of dropout may make of one step in bf16.
NOISE = 0.01


@dataclass
class Timed:
    """What one training process told, with the moment of each step's end and the processor time it had taken."""

    ended: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)

    def hear(self, message: dict[str, Any], process_id: int) -> None:
        if message["event"] == "progress":
            self.ended.append(time.perf_counter())
            used = psutil.Process(process_id).cpu_times()
            self.processor.append(used.user + used.system)
        elif message["event"] == "metric":
            self.losses[message["step"]] = message["loss"]
        elif message["event"] == "result":
            self.result = message
        elif message["event"] == "failed":
            raise RuntimeError(said(message))

    def speeds(self, tokens: list[int]) -> list[float]:
        """Tokens a second of each step after the warm-up."""
        return [
            tokens[step] / (self.ended[step] - self.ended[step - 1])
            for step in range(WARM_UP, len(self.ended))
        ]

    def tokens_per_processor_second(self, tokens: list[int]) -> float:
        used = self.processor[-1] - self.processor[WARM_UP - 1]
        return sum(tokens[WARM_UP : len(self.ended)]) / used


@dataclass(frozen=True)
class Material:
    """The conversations in the order they are trained, as arrays for us and as text for the peer."""

    arrays: Path
    arrays_hash: str
    messages: list[list[dict[str, str]]]
    tokens: list[int]
    trained_in_first_batch: int


def prepare(model: Path, folder: Path, seed: int) -> Material:
    """Masks of the sample dialogues, and the order in which a run with this seed goes through them."""
    from worker.work.training.data import EpochBatches

    tokenizer = ChatTokenizer.from_folder(model, trusted=True)
    dialogues = sample_dialogues()
    settings = MaskSettings()
    builder = ArraysBuilder(settings, "benchmark")
    for masked in mask_conversations(tokenizer, enumerate(dialogues), settings):
        for sample in masked.samples:
            builder.add(masked.conversation_id, sample.input_ids, sample.labels)
    arrays = builder.finish()
    batches = list(EpochBatches(len(arrays), BATCH, seed))[: STEPS * BATCHES_PER_STEP]
    first = [int((arrays.sample(index)[1][1:] != -100).sum()) for index in batches[0]]
    path = folder / "arrays.safetensors"
    return Material(
        arrays=path,
        arrays_hash=write_arrays(path, arrays),
        messages=[
            plain(dialogues[int(arrays.conversation_ids[index])]["messages"])
            for batch in batches
            for index in batch
        ],
        tokens=[
            sum(len(arrays.sample(i)[0]) for batch in batches[at : at + BATCHES_PER_STEP] for i in batch)
            for at in range(0, len(batches), BATCHES_PER_STEP)
        ],
        trained_in_first_batch=sum(first),
    )


def train_here(model: Path, folder: Path, material: Material, config: dict[str, Any]) -> Timed:
    """A run exactly as the worker starts one: its child process, its environment, its protocol."""
    folder.mkdir()
    job = folder / "job.json"
    job_input = {
        "arrays": str(material.arrays),
        "arrays_hash": material.arrays_hash,
        "base_model_path": str(model),
        "config": config,
        "provenance": PROVENANCE,
        "resume_from": None,
    }
    job.write_text(
        json.dumps(
            {
                "kind": "train",
                "job_id": 1,
                "attempt": 1,
                "input": job_input,
                "output_dir": str(folder / "out"),
            }
        )
    )
    timed = Timed()
    child = ChildProcess(job, folder / "log.txt")
    child.start()
    try:
        while not child.ended:
            # Any longer, and steps would seem to end together.
            for message in child.messages(wait_seconds=0.01):
                timed.hear(message, child.process_id)
    finally:
        child.close()
    return _complete(timed, folder / "log.txt")


def train_with_trl(model: Path, folder: Path, material: Material, config: dict[str, Any]) -> Timed:
    """SFTTrainer in a process of its own, on the same conversations in the same order."""
    folder.mkdir()
    job = folder / "job.json"
    lora = {
        "r": config["lora_r"],
        "lora_alpha": config["lora_alpha"],
        "lora_dropout": config["lora_dropout"],
        "target_modules": config["lora_target_modules"],
    }
    job.write_text(
        json.dumps(
            {
                "base_model_path": str(model),
                "output_dir": str(folder / "out"),
                "chat_template": MARKED_TEMPLATE,
                "messages": material.messages,
                "lora": lora,
                # transformers 5 reads a warm-up below 1 as a share of all steps, as our own trainer does.
                "config": {name: config[name] for name in PEER_FIELDS}
                | {"warmup_steps": config["warmup_ratio"]},
            }
        )
    )
    timed = Timed()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.training_peer", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"},
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                timed.hear(json.loads(line), process.pid)
        finally:
            process.kill()
            process.wait()
    return _complete(timed, folder / "log.txt")


def _complete(timed: Timed, log: Path) -> Timed:
    if not timed.result or len(timed.ended) != STEPS:
        raise RuntimeError("a training process ended early: " + log.read_text("utf-8", "replace")[-2000:])
    return timed


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Two rounds of both, in alternation."""
    config = build_config("standard", CHANGES).model_dump()
    rounds: dict[str, list[Timed]] = {"ours": [], "trl": []}
    with tempfile.TemporaryDirectory(prefix="sft-studio-bench-") as name:
        folder = Path(name)
        material = prepare(model, folder, config["seed"])
        for number in range(ROUNDS):
            for way, train in (("ours", train_here), ("trl", train_with_trl)):
                say(f"training: round {number + 1} of {ROUNDS}, {way}")
                rounds[way].append(train(model, folder / f"{way}-{number}", material, config))
    return _result(rounds, material, config)


def _result(rounds: dict[str, list[Timed]], material: Material, config: dict[str, Any]) -> Result:
    tokens = material.tokens
    speed = {way: median([s for run in runs for s in run.speeds(tokens)]) for way, runs in rounds.items()}
    work = {
        way: median([run.tokens_per_processor_second(tokens) for run in runs]) for way, runs in rounds.items()
    }
    peak = {way: max(run.result["peak_memory_bytes"] for run in runs) for way, runs in rounds.items()}
    curves = {
        way: [median([run.losses[step] for run in runs]) for step in range(1, STEPS + 1)]
        for way, runs in rounds.items()
    }
    apart = max(abs(ours - theirs) for ours, theirs in zip(curves["ours"], curves["trl"], strict=True))
    faster = speed["ours"] / speed["trl"]
    said = rounds["trl"][0].result
    names = {"ours": "SFT Studio", "trl": "TRL SFTTrainer, its defaults"}
    notes = [
        f"loss, step 1 to {STEPS} · {names[way]}: " + " ".join(f"{loss:.3f}" for loss in curve)
        for way, curve in curves.items()
    ]
    notes.append(f"largest difference of the two curves: {apart:.4f}")
    if said["trained_in_first_batch"] != material.trained_in_first_batch:
        notes.append("the two did not train the same tokens: the figures do not compare")
    notes.append(
        "LLaMA-Factory: " + ("installed, not run" if find_spec("llamafactory") else "skipped, not installed")
    )
    return Result(
        name="training",
        columns=("", "tokens/s", "× TRL", "tokens per CPU second", "peak memory"),
        rows=[
            Row(
                names[way],
                (
                    f"{speed[way]:.0f}",
                    f"{speed[way] / speed['trl']:.2f}",
                    f"{work[way]:.0f}",
                    f"{peak[way] / 1e9:.2f} GB",
                ),
            )
            for way in rounds
        ],
        compared=(
            f"the recipe “standard” (LoRA r {config['lora_r']}, all linear layers, dropout {config['lora_dropout']}) on "
            f"{len(material.messages)} English sample dialogues, {sum(tokens)} tokens, {STEPS} steps of {BATCHES_PER_STEP} "
            f"batches of {BATCH}, of which {WARM_UP} warms up, {ROUNDS} rounds in alternation. TRL: bf16={said['bf16']}, "
            f"gradient_checkpointing={said['gradient_checkpointing']}, weights {said['weights'].removeprefix('torch.')}, "
            "assistant_only_loss. Tokens are the conversations' own, without padding."
        ),
        goals=[
            Goal("training, times TRL's speed", faster, 5.0, unit="×"),
            Goal("peak memory of training", peak["ours"] / 1e9, 3.0, at_most=True, unit=" GB"),
            Goal("largest difference of the loss curves", apart / max(curves["trl"]), NOISE, at_most=True),
        ],
        raw={
            "tokens_per_second": speed,
            "tokens_per_cpu_second": work,
            "peak_memory_bytes": peak,
            "loss": curves,
            "times_trl": faster,
        },
        notes=notes,
        packages=("torch", "transformers", "peft", "trl"),
    )
