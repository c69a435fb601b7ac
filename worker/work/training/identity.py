"""What decides the numbers of a run: two attempts that agree on it may share checkpoints."""

from pathlib import Path
from typing import Any, Final

from app.core.errors import Conflict
from app.recipes.config import TrainingConfig

# How often something is logged, measured or saved changes no number; everything else does.
FREE: Final = frozenset(
    {"logging_steps", "eval_steps", "save_steps", "save_total_limit", "per_device_eval_batch_size"}
)


def identity(config: TrainingConfig, input: dict[str, Any]) -> dict[str, Any]:
    """Arrays, base model and the decisive part of the config, as a checkpoint keeps them."""
    return {
        "arrays_hash": input["arrays_hash"],
        "base_model": Path(input["base_model_path"]).name,
        "config": _decisive(config),
    }


def is_same(kept: dict[str, Any], own: dict[str, Any]) -> bool:
    """Whether a checkpoint's identity, which an earlier version may have written, is this run's."""
    try:
        config = TrainingConfig.stored(kept["config"])
    except Conflict:
        return False
    return {**kept, "config": _decisive(config)} == own


def _decisive(config: TrainingConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_json().items() if name not in FREE}
