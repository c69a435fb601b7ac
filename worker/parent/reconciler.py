"""Makes good what a broker or a crash lost: rings for queued jobs again, rescues jobs whose lease ran out, sweeps up."""

import random
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from sqlalchemy import Engine

from app.core.database import transaction
from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.core.settings import Settings
from app.core.storage import Storage, sweep_partials
from app.curation.sweeping import sweep
from app.erasure.chats import expire_chats
from app.exports import leftovers as export_leftovers
from app.exports.service import expire_exports
from app.imports import staging
from app.imports.background import unfinished_uploads
from app.imports.handler import remove_all_read_files
from app.jobs import leftovers as job_leftovers
from app.jobs.bell import ring_after_commit
from app.jobs.models import JobKind
from app.jobs.service import queued_jobs, rescue_expired
from app.runs.leftovers import clear_all_leftovers

logger = get_logger(__name__)
_EXPIRE_EVERY_SECONDS: Final = 600.0
# Each of the others clears up in its own way.
_BY_THE_COMMON_RULE: Final = (JobKind.PREPARE_BASE_MODEL, JobKind.CHECK_MASKS, JobKind.EVALUATE)


def reconcile_once(
    engine: Engine, settings: Settings, kinds_served: Collection[JobKind] = tuple(JobKind)
) -> list[int]:
    """One round. Ids of the jobs rung for again; only of kinds that this worker serves itself."""
    with transaction(engine) as session:
        rescued = rescue_expired(session, max_attempts=settings.max_attempts)
        waiting = queued_jobs(session, older_than_seconds=settings.reconcile_seconds)
        mine = [job for job in waiting if job.id not in rescued and job.kind in kinds_served]
        for job in mine:
            ring_after_commit(session, job)
    return [job.id for job in mine if job.id is not None]


class Reconciler(threading.Thread):
    """A daemon thread in every worker; a round every few seconds, with jitter so that workers spread out.

    A worker with no free place rings for nothing: its bells would only pile up in the broker.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        storage: Storage,
        stop: threading.Event,
        *,
        kinds_served: Collection[JobKind],
        has_room: Callable[[], bool],
    ) -> None:
        super().__init__(daemon=True, name="reconciler")
        self.engine, self.settings, self.storage, self.stop_event = engine, settings, storage, stop
        self.kinds_served, self.has_room = kinds_served, has_room
        self._expire_at = 0.0

    def _expire(self) -> None:
        """Chats end by themselves, exports where a setting says so, and what killed processes were writing; looked at now and
        then, for it reads the whole table of jobs.
        """
        if time.monotonic() < self._expire_at:
            return
        self._expire_at = time.monotonic() + _EXPIRE_EVERY_SECONDS
        with transaction(self.engine) as session:
            expire_chats(session, days=self.settings.chat_days)
            expire_exports(session, self.storage, days=self.settings.export_days)
            waiting = unfinished_uploads(session)
        staging.sweep(self.storage, waiting)
        sweep_partials(self.storage)

    def run(self) -> None:
        """Until told to stop. A database out of reach is tried again next round."""
        cleared = False
        while not self.stop_event.wait(self.settings.reconcile_seconds * random.uniform(0.7, 1.3)):  # noqa: S311
            try:
                kinds = self.kinds_served if self.has_room() else ()
                reconcile_once(self.engine, self.settings, kinds)
                sweep(self.engine)
                self._expire()
                if not cleared:  # once is enough: whoever ends a job clears up after it
                    clear_all_leftovers(self.engine, self.storage)
                    job_leftovers.clear_all_leftovers(self.engine, self.storage, _BY_THE_COMMON_RULE)
                    remove_all_read_files(self.engine, self.storage)
                    export_leftovers.clear_all_leftovers(self.engine, self.storage)
                    cleared = True
            except Exception as error:  # this thread is what every job is saved by: nothing may end it
                if is_outage(error):
                    logger.warning("reconciler: the database is out of reach (%s)", brief(error))
                else:
                    logger.exception("reconciler: a round failed")
