"""Where trackers show each figure of a run's events: one name for it, whichever tracker that is."""

import math
from collections.abc import Mapping
from typing import Final

from app.jobs.events import EventKind

_METRIC: Final = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "epoch": "train/epoch",
    "tokens_per_second": "train/tokens_per_second",
    "memory_bytes": "system/memory_bytes",
    "host_memory_bytes": "system/host_memory_bytes",
    "cpu_utilization": "system/cpu_utilization",
    "device_memory_bytes": "system/device_memory_bytes",
    "device_utilization": "system/device_utilization",
}
_EVAL: Final = {"eval_loss": "eval/loss", "mixed_loss": "eval/mixed_loss"}
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {EventKind.METRIC: _METRIC, EventKind.EVAL: _EVAL}
# The kinds that have figures.
FIGURE_KINDS: Final = (EventKind.METRIC, EventKind.EVAL)


def figures_of(kind: str, payload: Mapping[str, object]) -> dict[str, float]:
    """What an event of this kind measured, by name; what it could not measure, and what is no finite number, is left out."""
    found = {name: payload.get(key) for key, name in _NAMES.get(kind, {}).items()}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
