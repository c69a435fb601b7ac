"""Other ways to train than LoRA: DoRA, rsLoRA, QLoRA and every weight of the bundled model, some steps in each tool that has the way."""

import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from app.core.errors import Invalid
from app.interop.arguments import WITH_A_GPU, note_what_is_otherwise
from app.interop.handing import TOOL_NAMES, HandedRun, Handing, Tool
from app.interop.writing import WRITERS
from app.recipes.config import TrainingConfig
from tests.interop.material import (
    Material,
    Trained,
    bundled_model,
    config_of,
    prepare,
    train_in_the_studio,
)
from worker.work.protocol import JobFailed

STEPS = 4
# Of the first step's gradient, as a share: what another order of rounding may make of it.
SAME_GRADIENT = 0.01
WAYS: dict[str, dict[str, Any]] = {
    "DoRA": {"use_dora": True},
    "rsLoRA": {"use_rslora": True},
    "QLoRA": {"load_in_4bit": True},
    "every weight": {"use_peft": False},
}


def compare_ways(
    chosen: list[Tool], folder: Path, wrong: list[str], near: float, run: Callable[..., Trained]
) -> dict[str, dict[str, Any]]:
    """By way and tool: how far its losses lie from the studio's, those of the first steps and the held-out one. `run` lets a tool train
    an export. What differs is added to `wrong`."""
    folder.mkdir()
    # From the first step on every step changes weights, so that the next loss tells of it.
    config = config_of(
        max_steps=STEPS,
        warmup_steps=0,
        warmup_ratio=0,
        eval_steps=STEPS,
        save_steps=STEPS,
        per_device_train_batch_size=1,
        sample_count=0,
    )
    material = prepare(bundled_model(folder), folder, config)
    figures: dict[str, dict[str, Any]] = {}
    for way, changes in WAYS.items():
        one = _in_this_way(material, changes)
        _say(f"SFT Studio: {STEPS} steps of the bundled model, {way}")
        ours = train_in_the_studio(one, folder / f"studio {way}")
        figures[way] = {"SFT Studio": _told(ours, ours)}
        for tool in chosen:
            if reason := _refusal(tool, one.run):
                _say(f"{TOOL_NAMES[tool]}: {way}: {reason}")
                continue
            _say(f"{TOOL_NAMES[tool]}: {STEPS} steps of the bundled model, {way}")
            try:
                found = figures[way][TOOL_NAMES[tool]] = _told(run(tool, one, folder), ours)
            except JobFailed as error:
                wrong.append(f"{TOOL_NAMES[tool]}, {way}: {error}")
                shutil.rmtree(folder / tool)
                continue
            _say(
                f"  losses are {found['apart']:.4f} apart, the held-out loss {found['held_out_apart']:.4f}, the first gradient "
                f"{found['first_norm_apart']:.2%}, "
                f"{found['peak_memory_bytes'] / 1e9:.2f} GB"
            )
            if found["first_norm_apart"] > SAME_GRADIENT:
                wrong.append(
                    f"{TOOL_NAMES[tool]}, {way}: the first gradient is {found['first_norm_apart']:.2%} apart"
                )
            if max(found["apart"], found["held_out_apart"]) > near:
                wrong.append(
                    f"{TOOL_NAMES[tool]}, {way}: losses are {found['apart']:.4f} apart, the held-out loss "
                    f"{found['held_out_apart']:.4f}"
                )
    return figures


def _in_this_way(material: Material, changes: dict[str, Any]) -> Material:
    config = material.run.config
    changed = TrainingConfig.model_validate({**config.to_json(), **changes})
    return replace(material, run=replace(material.run, config=changed))


def _refusal(tool: Tool, run: HandedRun) -> str:
    """Why there is no such export for the tool, or none that trains here; empty where there is one."""
    handing = Handing(tool)
    try:
        WRITERS[tool](run, handing)
    except Invalid as error:
        return str(error)
    note_what_is_otherwise(run, handing)
    with_a_gpu = (
        [] if torch.cuda.is_available() else [one for one in handing.notes if one.template == WITH_A_GPU]
    )
    return "".join(note.english() for note in with_a_gpu)


def _told(found: Trained, ours: Trained) -> dict[str, Any]:
    return {
        "losses": list(found.losses.values()),
        "apart": _apart(ours.losses, found.losses),
        "first_norm_apart": found.first_norm_apart(ours),
        "held_out": found.held_out,
        "held_out_apart": _apart(ours.held_out, found.held_out),
        "peak_memory_bytes": found.peak_memory_bytes,
    }


def _apart(ours: dict[int, float], found: dict[int, float]) -> float:
    """The largest difference; infinite where a step is missing."""
    return max((abs(found.get(step, math.inf) - loss) for step, loss in ours.items()), default=math.inf)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
