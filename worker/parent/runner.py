"""The one task: find out what kind of job it is and hand it to whoever does that kind."""

import threading
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.core.database import reading
from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.jobs.models import Job, JobKind
from worker.parent.chat_desk import ChatDesk
from worker.parent.supervisor import Supervisor

logger = get_logger(__name__)


@dataclass
class JobRunner:
    """Runs jobs for this process and knows how many are under way."""

    engine: Engine
    supervisor: Supervisor
    desk: ChatDesk
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def busy(self) -> int:
        """Jobs under way in this process."""
        return self._busy

    def run(self, job_id: int) -> None:
        """Do the job if it is still there to do; a bell for a job that is taken or gone is silent."""
        with self._lock:
            self._busy += 1
        try:
            self._run(job_id)
        except SQLAlchemyError as error:
            if not is_outage(error):
                raise
            logger.warning("job %d was not taken: %s; it is rung for again", job_id, brief(error))
        finally:
            with self._lock:
                self._busy -= 1

    def _run(self, job_id: int) -> None:
        with reading(self.engine) as session:
            job = session.get(Job, job_id)
            kind = job.kind if job else None
        if kind is None or self.supervisor.shutdown.is_set():
            return
        if kind is JobKind.CHAT:
            self.desk.run(job_id)
        else:
            self.supervisor.run(job_id)
