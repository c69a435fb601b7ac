"""What this process computes with: libraries, device, threads. Two runs with the same of it have the same numbers."""

import platform
from pathlib import Path
from typing import Final

import torch

from app.recipes.liger import version_of
from app.runs.environment import Environment

# Those that have a say in the numbers.
_LIBRARIES: Final = (
    "sft-studio",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "bitsandbytes",
    "liger-kernel",
    "triton",
    "tokenizers",
    "safetensors",
    "numpy",
)


def surroundings(device: torch.device) -> Environment:
    """As it is now."""
    return Environment(
        python=platform.python_version(),
        libraries={name: version for name in _LIBRARIES if (version := version_of(name))},
        device=_name(device),
        threads=torch.get_num_threads(),
    )


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        text = ""
    named = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
