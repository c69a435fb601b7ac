"""The trackers that the settings name."""

from app.core.settings import Settings
from app.runs.tracking import TrackerName, destinations
from app.trackers.tracker import Tracker


def trackers_of(settings: Settings) -> list[Tracker]:
    """One of each."""
    return [_made(name, settings) for name in destinations(settings)]


def _made(name: TrackerName, settings: Settings) -> Tracker:
    # Loaded where it is named: most workers tell nobody.
    match name:
        case TrackerName.MLFLOW:
            from app.trackers.mlflow import MlflowTracker

            return MlflowTracker(settings)
        case TrackerName.WANDB:
            from app.trackers.wandb import WandbTracker

            return WandbTracker(settings)
