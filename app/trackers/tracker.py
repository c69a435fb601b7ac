"""What a tracker can do, and what it is told: the same for each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.core.errors import StudioError
from app.jobs.models import JobState
from app.runs.tracking import TrackerName
from app.sentences import Sentence


class TrackerTrouble(StudioError):
    """A tracker did not take what it was told. It is told again later; the run knows nothing of it."""


class Lost(TrackerTrouble):
    """What the tracker took over since `begin` may be gone with it: that is told again, too."""


class Forgotten(TrackerTrouble):
    """The tracker knows nothing of a run that it once had: all of it is told again, as of a new one."""


@dataclass(frozen=True)
class RunTold:
    """A run as it begins. `key` is what the tracker's own run is found by, params the whole config and the mask settings as
    text, tags what it was made of; `url` its page here, where the settings say how people reach it.
    """

    key: str
    name: str
    started_at: datetime
    started_by: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    note: str
    url: str | None


@dataclass(frozen=True)
class Link:
    """The tracker's own run: its id there, and the address of its page, where it has one."""

    external_id: str
    url: str | None


@dataclass(frozen=True)
class Point:
    """Figures by name, measured after a training step."""

    step: int
    at: datetime
    figures: Mapping[str, float]


@dataclass(frozen=True)
class SentFile:
    """A file that goes with the run."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Ending:
    """How the run ended, in English where it failed, and the files that describe it."""

    state: JobState
    at: datetime
    failure: str | None
    files: Sequence[SentFile]


class Tracker(Protocol):
    """Used by one thread. Everything may be told twice: after a crash the last of it is."""

    name: TrackerName

    def begin(self, told: RunTold, known: Link | None) -> Link:
        """Find the run there or make it; `known` is what an earlier call gave. Raises TrackerTrouble."""
        ...

    def tell(self, told: RunTold, link: Link, points: Sequence[Point]) -> None:
        """Raises TrackerTrouble, after which `begin` comes first again, and Forgotten."""
        ...

    def end(self, told: RunTold, link: Link, ending: Ending) -> Sentence | None:
        """How it ended; a sentence about what the tracker would not take. Raises TrackerTrouble, Forgotten."""
        ...

    def look(self) -> str:
        """Whether it can be told anything now: what it said of itself, such as a version. Raises TrackerTrouble."""
        ...

    def tidy(self) -> None:
        """Let go of what has not been used for a while."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...
