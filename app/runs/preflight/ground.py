"""What a door knows of this machine and this moment before a start: device, disk, and what became of the version."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy import Engine

from app.core.database import reading
from app.core.errors import Conflict
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.web import AppEngine, AppSettings, AppStorage
from app.files import free_bytes
from app.mask_checks.models import MaskCheck
from app.runs.device import Device, ThisDevice
from app.runs.preflight.facts import Ground
from app.versions.models import DatasetVersion
from app.versions.since import read_now, since_freeze


@dataclass(frozen=True)
class Surroundings:
    """Looks around when asked: no connection may be held, for files are read."""

    engine: Engine
    storage: Storage
    settings: Settings
    device: Device

    def ground(self, version: DatasetVersion | None) -> Ground:
        """What is so now."""
        since, unread = None, None
        if version is not None:
            with reading(self.engine) as session:
                now = read_now(session, version)
            try:
                since = since_freeze(self.storage, version, now)
            except Conflict as error:
                unread = error.sentence
        return Ground(
            device=self.device,
            # Workers of other machines come by a broker that both reach.
            workers_here=not self.settings.redis_url,
            free_disk=_free(self.storage),
            since=since,
            unread=unread,
        )

    def ground_of(self, version_id: int) -> Ground:
        """The same by the version's id; one that there is not is refused by the start."""
        with reading(self.engine) as session:
            version = session.get(DatasetVersion, version_id)
        return self.ground(version)

    def ground_of_check(self, mask_check_id: int) -> Ground:
        """The same for the version that a mask check is of."""
        with reading(self.engine) as session:
            check = session.get(MaskCheck, mask_check_id)
        return self.ground(None) if check is None else self.ground_of(check.dataset_version_id)


def _free(storage: Storage) -> int | None:
    try:
        return free_bytes(storage.root)
    except OSError:
        # A folder that is made with its first file.
        return free_bytes(storage.root.parent) if storage.root.parent.is_dir() else None


def surroundings_here(
    engine: AppEngine, storage: AppStorage, settings: AppSettings, device: ThisDevice
) -> Surroundings:
    """Of this request."""
    return Surroundings(engine, storage, settings, device)


TheseSurroundings = Annotated[Surroundings, Depends(surroundings_here)]
