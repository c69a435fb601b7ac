"""What the pre-flight is read from, gathered before; the list itself asks nobody."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlmodel import Session

from app.base_models.models import ModelEntry
from app.jobs.models import Job
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import MaskReport
from app.masking import Leak
from app.runs.device import Device, Machine
from app.runs.mixing import Beside
from app.runs.placing import Place, place_for
from app.runs.planning import Plan
from app.sentences import Sentence
from app.versions.models import DatasetVersion
from app.versions.since import Since


@dataclass(frozen=True)
class Fate:
    """What became of a version's conversations, or why that is not known (`unread`). None of both where nobody looked."""

    since: Since | None = None
    unread: Sentence | None = None


@dataclass(frozen=True)
class Crossings:
    """Conversations that one version holds out and the other trains, or why that is not known (`unread`)."""

    leaks: Sequence[Leak] = ()
    unread: Sentence | None = None


@dataclass(frozen=True)
class Ground:
    """What is true here and now. None where nobody looked; `is_sure`: the run trains on this device, or on one that has as much.
    `missing` is the device that is asked for and that nobody has told of.

    `free_disk` in bytes of the data folder's disk, which all workers write to; `own` is what became of the version, `mixed_in` of
    the one that is mixed in, `crossings` what stands in the splits of both.
    """

    device: Device | None = None
    machine: Machine | None = None
    is_sure: bool = False
    missing: str | None = None
    free_disk: int | None = None
    own: Fate = field(default_factory=Fate)
    mixed_in: Fate = field(default_factory=Fate)
    crossings: Crossings | None = None

    def on(self, session: Session, wish: str) -> "Ground":
        """The same for a run with this wish."""
        return self if self.machine is None else self.at(place_for(session, self.machine, wish), wish)

    def at(self, place: Place | None, wish: str) -> "Ground":
        """The same for a run with this wish that is trained there."""
        if place is None:
            return replace(self, device=None, is_sure=False, missing=wish)
        is_sure = place.are_alike and (place.is_told or self.is_sure)
        return replace(self, device=place.device, is_sure=is_sure)


# Of a start that nobody looked around for.
UNSEEN = Ground()


@dataclass(frozen=True)
class Facts:
    """`job` is the check's. `confirmed` is None where nobody is asked yet; `plan` holds the config, or what is wrong with it.
    `beside` is what is mixed in.
    """

    version: DatasetVersion
    model: ModelEntry
    check: MaskCheck | None
    job: Job | None
    plan: Plan
    ground: Ground
    suites: Sequence[str] = ()
    confirmed: bool | None = None
    override_reason: str = ""
    beside: Beside | None = None

    @property
    def mixed_in(self) -> "Facts | None":
        """The same of what is mixed in, for what is looked at in either dataset."""
        if self.beside is None:
            return None
        other, ground = self.beside, replace(self.ground, own=self.ground.mixed_in)
        return replace(
            self, version=other.version, check=other.check, job=other.job, ground=ground, beside=None
        )

    @property
    def report(self) -> MaskReport | None:
        """The check's, once there is one."""
        return self.check.report if self.check else None

    @property
    def check_page(self) -> str | None:
        """Where the masks are seen."""
        return f"/mask-checks/{self.check.id}" if self.check else None

    @property
    def version_page(self) -> str:
        """Where the version is seen."""
        return f"/datasets/{self.version.dataset_id}/versions#version-{self.version.number}"
