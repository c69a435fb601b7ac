"""The one task: a bell says that there is work; whoever hears it takes the first job in the order of that queue."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.core.database import reading
from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.jobs.bell import kinds_beside
from app.jobs.models import Job, JobKind
from worker.parent.chat_desk import ChatDesk
from worker.parent.supervisor import Supervisor

logger = get_logger(__name__)


@dataclass
class JobRunner:
    """Runs jobs for this process and knows how many are under way.

    Of its `threads` so many are `places` for jobs that take long; the rest are for chats, which never wait behind them.
    """

    engine: Engine
    supervisor: Supervisor
    desk: ChatDesk
    threads: int = 1
    places: int = 1
    worker_id: int | None = None
    _chats: int = 0
    _others: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def room(self, kind: JobKind) -> int:
        """How many more jobs of this kind could be begun now."""
        free = self.threads - self._chats - self._others
        return free if kind is JobKind.CHAT else min(free, self.places - self._others)

    def run(self, job_id: int) -> None:
        """Do what waits in the queue of this job, one after the other, until nothing does; a bell for a job that is taken or
        gone is silent.
        """
        try:
            with reading(self.engine) as session:
                job = session.get(Job, job_id)
                kind = job.kind if job else None
            if kind is not None and self._sit_down(kind):
                try:
                    self._run(kinds_beside(kind))
                finally:
                    self._stand_up(kind)
        except SQLAlchemyError as error:
            if not is_outage(error):
                raise
            logger.warning("no job was taken: %s; it is rung for again", brief(error))

    def _sit_down(self, kind: JobKind) -> bool:
        """False where no place is left; whoever has one goes on with the queue."""
        with self._lock:
            if kind is JobKind.CHAT:
                self._chats += 1
            elif self._others < self.places:
                self._others += 1
            else:
                return False
        return True

    def _stand_up(self, kind: JobKind) -> None:
        with self._lock:
            if kind is JobKind.CHAT:
                self._chats -= 1
            else:
                self._others -= 1

    def _run(self, kinds: Collection[JobKind]) -> None:
        while not self.supervisor.shutdown.is_set():
            is_chat = JobKind.CHAT in kinds
            if not (self.desk.run_next(self.worker_id) if is_chat else self._work(kinds)):
                return

    def _work(self, kinds: Collection[JobKind]) -> bool:
        return self.supervisor.run_next(kinds, self.worker_id)
