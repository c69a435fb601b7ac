"""The trackers that the settings name."""

from collections.abc import Callable, Mapping
from typing import Final

from app.core.settings import Settings
from app.runs.tracking import TrackerName, destinations
from app.trackers.mlflow import MlflowTracker
from app.trackers.tracker import Tracker
from app.trackers.wandb import WandbTracker

_MADE: Final[Mapping[TrackerName, Callable[[Settings], Tracker]]] = {
    TrackerName.MLFLOW: MlflowTracker,
    TrackerName.WANDB: WandbTracker,
}


def trackers_of(settings: Settings) -> list[Tracker]:
    """One of each."""
    return [_MADE[name](settings) for name in destinations(settings)]
