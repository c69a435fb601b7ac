"""What a door knows of this machine and this moment before a start: device, disk, and what became of the versions."""

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
from app.runs.device import Machine, ThisMachine
from app.runs.models import Run
from app.runs.preflight.crossing import crossings_of
from app.runs.preflight.facts import Fate, Ground
from app.versions.models import DatasetVersion
from app.versions.since import read_now, since_freeze


@dataclass(frozen=True)
class Surroundings:
    """Looks around when asked: no connection may be held, for files are read."""

    engine: Engine
    storage: Storage
    settings: Settings
    machine: Machine

    def ground(
        self,
        version: DatasetVersion | None,
        mixed: DatasetVersion | None = None,
        check: MaskCheck | None = None,
        beside: MaskCheck | None = None,
    ) -> Ground:
        """What is so now of a version and the one that is mixed in, and with the mask checks of both, of the two together."""
        return Ground(
            device=self.machine.first,
            machine=self.machine,
            # Workers of other machines come by a broker that both reach.
            is_sure=not self.settings.redis_url,
            free_disk=_free(self.storage),
            own=self._fate(version),
            mixed_in=self._fate(mixed),
            crossings=crossings_of(self.storage, check, beside) if check and beside else None,
        )

    def ground_of_checks(self, mask_check_id: int, mix_check_id: int | None = None) -> Ground:
        """The same for what mask checks are of; one that there is not is refused by the start."""
        with reading(self.engine) as session:
            check = session.get(MaskCheck, mask_check_id)
            beside = None if mix_check_id is None else session.get(MaskCheck, mix_check_id)
            version, mixed = (
                session.get(DatasetVersion, one.dataset_version_id) if one else None
                for one in (check, beside)
            )
        return self.ground(version, mixed, check, beside)

    def ground_of_run(self, run_id: int) -> Ground:
        """The same for what a run was trained on."""
        with reading(self.engine) as session:
            run = session.get(Run, run_id)
        return (
            self.ground(None) if run is None else self.ground_of_checks(run.mask_check_id, run.mix_check_id)
        )

    def _fate(self, version: DatasetVersion | None) -> Fate:
        if version is None:
            return Fate()
        with reading(self.engine) as session:
            now = read_now(session, version)
        try:
            return Fate(since_freeze(self.storage, version, now))
        except Conflict as error:
            return Fate(unread=error.sentence)


def _free(storage: Storage) -> int | None:
    try:
        return free_bytes(storage.root)
    except OSError:
        # A folder that is made with its first file.
        return free_bytes(storage.root.parent) if storage.root.parent.is_dir() else None


def surroundings_here(
    engine: AppEngine, storage: AppStorage, settings: AppSettings, machine: ThisMachine
) -> Surroundings:
    """Of this request."""
    return Surroundings(engine, storage, settings, machine)


TheseSurroundings = Annotated[Surroundings, Depends(surroundings_here)]
