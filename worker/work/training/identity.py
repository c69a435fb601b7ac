"""What decides the numbers of a run: two attempts that agree on it may share checkpoints."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypedDict

from app.core.errors import Conflict
from app.recipes.config import TrainingConfig
from app.recipes.continuing import FREE
from app.runs.work import TrainInput


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


def is_same(kept: Identity, own: Identity, may_differ: Collection[str] = FREE) -> bool:
    """Whether a checkpoint's identity, which an earlier version may have written, is this run's, but for what may differ."""
    try:
        config = TrainingConfig.stored(kept["config"])
    except Conflict:
        return False
    return _without(may_differ, {**kept, "config": config.to_json()}) == _without(may_differ, own)


def _without(names: Collection[str], one: Identity) -> Identity:
    return {**one, "config": {name: value for name, value in one["config"].items() if name not in names}}


def _decisive(config: TrainingConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_json().items() if name not in FREE}
