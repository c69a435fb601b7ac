"""What decides the numbers of a run: two attempts that agree on it may share checkpoints."""

from pathlib import Path
from typing import Any, Final, TypedDict

from app.core.errors import Conflict
from app.recipes.config import TrainingConfig
from app.runs.work import TrainInput

# How often something is logged, measured, asked or saved changes no number; everything else does.
FREE: Final = frozenset(
    {
        "logging_steps",
        "eval_steps",
        "save_steps",
        "save_total_limit",
        "per_device_eval_batch_size",
        "sample_count",
        "sample_prompts",
    }
)


class Identity(TypedDict):
    """`arrays_hash` is the sha256 of ids and labels, `base_model` the folder's name."""

    arrays_hash: str
    base_model: str
    config: dict[str, Any]


def identity(config: TrainingConfig, job: TrainInput, arrays_hash: str) -> Identity:
    """Arrays, with what is mixed in, base model and the decisive part of the config, as a checkpoint keeps them."""
    return {
        "arrays_hash": arrays_hash,
        "base_model": Path(job.base_model_path).name,
        "config": _decisive(config),
    }


def is_same(kept: Identity, own: Identity) -> bool:
    """Whether a checkpoint's identity, which an earlier version may have written, is this run's."""
    try:
        config = TrainingConfig.stored(kept["config"])
    except Conflict:
        return False
    return {**kept, "config": _decisive(config)} == own


def _decisive(config: TrainingConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_json().items() if name not in FREE}
