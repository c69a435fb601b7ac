"""Runs that a tool trains in two processes, by the worker's own code on a tiny model, beside one process with twice the accumulation."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from app.interop.handing import TOOL_VERSIONS, Tool
from app.interop.launching import Launch, own_launch, read_launch
from app.runs.work import TrainInput
from tests.interop import tools
from tests.support import small_runs
from tests.support.two_processes import HELD_OUT, SETTINGS, TRAINING, StoppingAt
from tests.worker.conftest import Recorder
from worker.work import train
from worker.work.evaluation.loading import require_adapter
from worker.work.protocol import Control

TINY: dict[str, Any] = {**SETTINGS, "trainable_tokens": "none"}
STEPS, STOPPED = 6, 4
DEEPSPEED = "0.19.8"
# Of a loss: sums in another order.
NEAR = 1e-5


def zero(stage: int) -> Launch:
    """DeepSpeed's ZeRO in two processes, as a file of accelerate says it."""
    options = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "DEEPSPEED",
        "num_machines": 1,
        "num_processes": 2,
        "mixed_precision": "no",
        "use_cpu": True,
        "deepspeed_config": {
            "zero_stage": stage,
            "gradient_accumulation_steps": "auto",
            **({"zero3_init_flag": False, "zero3_save_16bit_model": True} if stage == 3 else {}),
        },
    }
    return read_launch("zero.yaml", yaml.safe_dump(options))


def install_deepspeed() -> Path:
    """The interpreter of an environment with TRL and DeepSpeed, quick where it is there."""
    tools.install("deepspeed")
    folder = tools.environments() / "deepspeed"
    python = folder / "bin" / "python"
    if not any(folder.glob(f"lib/python3*/site-packages/deepspeed-{DEEPSPEED}.dist-info")):
        # It is built beside the torch that it looks at; what it compiles, it compiles when it is first used.
        command = (python, "-m", "pip", "install", "-q", "--no-input", "--no-deps", "--no-build-isolation")
        environment = {**os.environ, "DS_BUILD_OPS": "0", "DS_ACCELERATOR": "cpu"}
        subprocess.run([*map(str, command), f"deepspeed=={DEEPSPEED}"], check=True, env=environment)
    return python


def ways(chosen: list[Tool]) -> dict[str, tuple[Tool, Path, Launch]]:
    """By name: the tool, the interpreter whose environment holds it, and what starts its processes."""
    copies = own_launch(2, on_cpu=True)
    found: dict[str, tuple[Tool, Path, Launch]] = {}
    if "trl" in chosen:
        there = install_deepspeed()
        found["TRL, two copies"] = "trl", tools.python_of("trl"), copies
        found["TRL, ZeRO 2"] = "trl", there, zero(2)
        found["TRL, ZeRO 3"] = "trl", there, zero(3)
    if "llamafactory" in chosen:
        found["LLaMA-Factory, two copies"] = "llamafactory", tools.python_of("llamafactory"), copies
    return found


def in_two_processes(chosen: list[Tool], folder: Path, wrong: list[str]) -> dict[str, dict[str, Any]]:
    """By way: how far its losses lie from those of one process, and where it stopped. What differs goes to `wrong`."""
    alone = _by_step(
        small_runs.train(
            folder / "alone",
            training=TRAINING,
            held_out=HELD_OUT,
            **TINY,
            gradient_accumulation_steps=2,
            max_steps=STEPS,
        )
    )
    figures: dict[str, dict[str, Any]] = {}
    for place, (name, (tool, python, launch)) in enumerate(ways(chosen).items()):
        print(f"{name}: {STEPS} steps, then one that is stopped", file=sys.stderr, flush=True)
        whole, result = _run(tool, python, launch, folder / f"{place}-whole", Recorder(), STEPS)
        _, stopped = _run(tool, python, launch, folder / f"{place}-stopped", StoppingAt(STOPPED), 500)
        apart = {kind: _apart(alone[kind], found) for kind, found in _by_step(whole).items()}
        figures[name] = {
            **apart,
            "seen": f"{result.labels_seen} of {result.labels_total}",
            "stopped": stopped.steps,
        }
        if max(apart.values()) > NEAR or result.labels_seen != result.labels_total:
            wrong.append(f"{name}: {figures[name]}")
        if stopped.stop_reason != "requested" or not STOPPED <= stopped.steps < 500:
            wrong.append(f"{name} was stopped and kept after {stopped.steps} steps: {stopped.stop_reason}")
    return figures


def _run(
    tool: Tool, python: Path, launch: Launch, folder: Path, told: Recorder, steps: int
) -> tuple[Recorder, Any]:
    named = tool == "trl"
    config: dict[str, Any] = {**TINY, "backend": tool, "num_processes": 2, "max_steps": steps}
    if named:
        config["accelerate_config"] = launch.name
    job = small_runs.job(folder, training=TRAINING, held_out=HELD_OUT, **config)
    asked = TrainInput.model_validate(
        {
            **job,
            "backend": {"python": str(python), "version": TOOL_VERSIONS[tool]},
            "launch": launch.to_json() if named else None,
        }
    )
    control = told.control if isinstance(told, StoppingAt) else Control()
    result = train.run(asked, folder / "output", told, control)
    require_adapter(folder / "output" / result.adapter)
    return told, result


def _by_step(told: Recorder) -> dict[str, dict[int, float]]:
    kinds = {"loss": "metric", "grad_norm": "metric", "eval_loss": "eval"}
    return {name: {row["step"]: row[name] for row in told.of(kind)} for name, kind in kinds.items()}


def _apart(expected: dict[int, float], found: dict[int, float]) -> float:
    """The largest difference as a share; every step of one is a step of the other."""
    if expected.keys() != found.keys():
        return float("inf")
    return max(abs(found[step] - loss) / loss for step, loss in expected.items())
