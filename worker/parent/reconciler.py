"""Makes good what a broker or a crash lost: rings for queued jobs again, rescues jobs whose lease ran out, sweeps up."""

import random
import threading
import time
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

from sqlalchemy import Engine

from app.core.database import database_now, transaction
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
from app.jobs.bell import kinds_beside, ring_after_commit
from app.jobs.claiming import Seat, is_served, takeable
from app.jobs.models import JobKind
from app.jobs.service import rescue_expired
from app.jobs.workers import BEAT_SECONDS, Presence, tell_presence
from app.runs.leftovers import clear_all_leftovers
from worker.parent.attempt import owner_name
from worker.parent.runner import JobRunner

logger = get_logger(__name__)
_EXPIRE_EVERY_SECONDS: Final = 600.0
# Each of the others clears up in its own way.
_BY_THE_COMMON_RULE: Final = (JobKind.PREPARE_BASE_MODEL, JobKind.CHECK_MASKS, JobKind.EVALUATE)


def reconcile_once(
    engine: Engine, settings: Settings, served: Iterable[Collection[JobKind]], runner: JobRunner
) -> list[int]:
    """One round. Ids of the jobs rung for again: of each queue that this worker serves, as many as it could begin now."""
    supervisor = runner.supervisor
    seat = Seat(owner_name(), runner.worker_id, supervisor.devices)
    rung: list[int] = []
    with transaction(engine) as session:
        rescued = rescue_expired(session, max_attempts=settings.max_attempts)
        before = database_now(session) - timedelta(seconds=settings.reconcile_seconds)
        for kinds in served:
            for job in takeable(session, kinds, seat, max(0, runner.room(next(iter(kinds))))):
                # For what was just promised, or rescued, somebody has rung.
                if job.id not in rescued and job.created_at < before:
                    ring_after_commit(session, job)
                    rung.append(job.id or 0)
    return rung


class Reconciler(threading.Thread):
    """A daemon thread in every worker; a round every few seconds, with jitter so that workers spread out.

    A worker with no free place, or none on a device, rings for nothing: its bells would only pile up in the broker.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        storage: Storage,
        stop: threading.Event,
        *,
        runner: JobRunner,
        presence: Presence,
    ) -> None:
        super().__init__(daemon=True, name="reconciler")
        self.engine, self.settings, self.storage, self.stop_event = engine, settings, storage, stop
        self.runner, self.presence = runner, presence
        # The kinds of each queue that this worker serves.
        self.served = sorted({kinds_beside(kind) for kind in JobKind if is_served(kind, presence.queues)})
        self._expire_at = self._tell_at = 0.0

    def tell_presence(self) -> None:
        """Tell now and then that this worker lives. Raises the database's error."""
        if time.monotonic() < self._tell_at:
            return
        with transaction(self.engine) as session:
            self.runner.worker_id = tell_presence(session, self.presence, self.runner.worker_id)
        self._tell_at = time.monotonic() + BEAT_SECONDS

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
                self.tell_presence()
                reconcile_once(self.engine, self.settings, self.served, self.runner)
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
