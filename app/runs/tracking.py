"""Which trackers are told of runs, and how far each run was told: a row a run and tracker, so that a restart forgets nothing.

The row is made as the run begins, by settings as they are then; who tells (`app.trackers`) goes on from where it stands.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Column, Index
from sqlmodel import Field, Session, SQLModel, col, select

from app.core.database import database_now, enum_column, moment_column, utc_now
from app.core.documents import DocumentColumn
from app.core.settings import Settings
from app.core.stored_models import StoredModel
from app.sentences import Sentence


class TrackerName(StrEnum):
    """Programs that show the curves of many runs."""

    MLFLOW = "mlflow"
    WANDB = "wandb"

    @property
    def spelled(self) -> str:
        """As its makers write it."""
        return _TITLES[self]


_TITLES: Final = {TrackerName.MLFLOW: "MLflow", TrackerName.WANDB: "Weights & Biases"}
# The settings that name a tracker's place.
SETTINGS: Final = {
    TrackerName.MLFLOW: "SFT_STUDIO_MLFLOW_URI",
    TrackerName.WANDB: "SFT_STUDIO_WANDB_PROJECT",
}


class TrackingState(StrEnum):
    """How far a run was told. What was begun may stand still for a while; given up is what could not be told for weeks."""

    WAITING = "waiting"
    BEGUN = "begun"
    TOLD = "told"
    GIVEN_UP = "given_up"


UNFINISHED: Final = (TrackingState.WAITING, TrackingState.BEGUN)


class Remark(StoredModel):
    """What was wrong at the last attempt, or what a tracker would not take at the end."""

    sentence: Sentence


class TrackedRun(SQLModel, table=True):
    """One run at one tracker. `key` stands in the tracker's own run, to find it by; `seq` is the job's event that was told
    last, `step` the training step of the last figure.

    Whoever tells holds the row as `owner` until `owned_until`, and writes only while it does.
    """

    __tablename__ = "tracked_run"
    __table_args__ = (
        Index("uq_tracked_run_run_id_tracker", "run_id", "tracker", unique=True),
        Index("ix_tracked_run_due", "state", "next_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", ondelete="CASCADE")
    tracker: TrackerName = Field(sa_column=enum_column(TrackerName))
    # The server's address, or the project.
    destination: str = Field(max_length=500)
    key: str = Field(default_factory=lambda: uuid.uuid4().hex, max_length=40)
    external_id: str | None = Field(default=None, max_length=200)
    # Where the tracker shows it.
    url: str | None = Field(default=None, max_length=1000)
    state: TrackingState = Field(default=TrackingState.WAITING, sa_column=enum_column(TrackingState))
    seq: int = 0
    step: int | None = None
    told_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    # In a row, since when, and what the last was.
    failures: int = 0
    failing_since: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    remark: Remark | None = Field(default=None, sa_column=Column(DocumentColumn(Remark), nullable=True))
    next_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    owner: str | None = Field(default=None, max_length=120)
    owned_until: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


def destinations(settings: Settings) -> Mapping[TrackerName, str]:
    """The trackers that the settings name, with the place of each."""
    found = {}
    if settings.mlflow_uri:
        found[TrackerName.MLFLOW] = settings.mlflow_uri
    if settings.wandb_project:
        entity = f"{settings.wandb_entity}/" if settings.wandb_entity else ""
        found[TrackerName.WANDB] = f"{entity}{settings.wandb_project}"
    return found


def begin_tracking(session: Session, run_id: int, settings: Settings) -> None:
    """Promise the run to every tracker that the settings name and that it was not promised to before."""
    if not (named := destinations(settings)):
        return
    known = {one.tracker for one in tracked(session, run_id)}
    session.add_all(
        TrackedRun(run_id=run_id, tracker=tracker, destination=place, next_at=database_now(session))
        for tracker, place in named.items()
        if tracker not in known
    )


def tracked(session: Session, run_id: int) -> list[TrackedRun]:
    """How the run stands with each tracker."""
    return list(
        session.exec(select(TrackedRun).where(TrackedRun.run_id == run_id).order_by(col(TrackedRun.id)))
    )
