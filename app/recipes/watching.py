"""The part of a training config that says how often something is told, measured and saved."""

from typing import Literal

from pydantic import BaseModel

from app.recipes.setting import Section, setting
from app.sentences import N_

KeepCheckpoints = Literal["best_and_last", "all", "none"]


class WatchingFields(BaseModel):
    """Changes no number of a run but where it stops early and what is kept of it."""

    logging_steps: int = setting(
        10,
        N_("Log every"),
        N_("A point on the curve every so many steps."),
        Section.WATCHING,
        unit=N_("steps"),
        ge=1,
        le=1_000_000,
    )
    eval_steps: int = setting(
        200,
        N_("Measure every"),
        N_("Measures the held-out loss every so many steps, and at the end."),
        Section.WATCHING,
        unit=N_("steps"),
        ge=1,
        le=1_000_000,
    )
    per_device_eval_batch_size: int = setting(
        4,
        N_("Held-out batch size"),
        N_("Held-out samples in memory at once. The loss is the same for any size."),
        Section.WATCHING,
        unit=N_("samples"),
        ge=1,
        le=512,
    )
    early_stopping_patience: int = setting(
        3,
        N_("Patience"),
        N_("Stops after so many measurements without a new best held-out loss; 0: never."),
        Section.WATCHING,
        unit=N_("measurements"),
        ge=0,
        le=100,
    )
    save_steps: int = setting(
        200,
        N_("Save every"),
        N_("A checkpoint every so many steps; a lost worker goes on from it."),
        Section.WATCHING,
        unit=N_("steps"),
        ge=1,
        le=1_000_000,
    )
    # At least two: one whole checkpoint is left while the newest is being written or turns out torn.
    save_total_limit: int = setting(
        5,
        N_("Checkpoints kept"),
        N_(
            "Checkpoints to keep while it runs, at least 2: the newest, and the one with the lowest held-out loss."
        ),
        Section.WATCHING,
        ge=2,
        le=100,
    )
    keep_checkpoints: KeepCheckpoints = setting(
        "best_and_last",
        N_("Checkpoints kept after the end"),
        N_(
            "What stays once the run has ended, however it ended, so that another can go on from there: the best and the last, "
            "all that save_total_limit left, or none. The run's page shows what they take and removes them."
        ),
        Section.WATCHING,
    )
