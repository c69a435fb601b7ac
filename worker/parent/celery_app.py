"""The Celery application of the worker: `celery -A worker.parent.celery_app worker`.

Threads, not forks: each task only supervises a child process, and SQLite must not be open across a fork.
"""

import threading
from typing import Any

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from app import tables as _tables  # noqa: F401 - metadata must be complete before the first query
from app.core.database import build_engine
from app.core.logging import configure_logging
from app.core.settings import get_settings
from app.core.storage import Storage
from app.jobs.bell import TASK_NAME, celery_app, hang_bell, queue_of
from app.jobs.models import JobKind
from worker.parent.chat_desk import ChatDesk
from worker.parent.handlers import HANDLERS
from worker.parent.reconciler import Reconciler
from worker.parent.runner import JobRunner
from worker.parent.supervisor import Supervisor

settings = get_settings()
configure_logging()
engine = build_engine(
    settings.resolved_database_url,
    wait_seconds=settings.worker_wait_seconds,
    storage_root=settings.storage_dir,
)
hang_bell(engine, settings)
shutdown = threading.Event()
storage = Storage(settings.storage_dir)
supervisor = Supervisor(settings, engine, storage, HANDLERS, shutdown)
desk = ChatDesk(settings, engine, storage)
runner = JobRunner(engine, supervisor, desk)
celery = celery_app(settings)


@celery.task(name=TASK_NAME, ignore_result=True)
def run_job(job_id: int) -> None:
    """Do the job if it is still there to do. Safe to run twice."""
    runner.run(job_id)


@worker_ready.connect
def _start_reconciler(sender: Any, **_kwargs: Any) -> None:
    queues = set(celery.amqp.queues.consume_from)
    places = sender.controller.concurrency
    Reconciler(
        engine,
        settings,
        storage,
        shutdown,
        kinds_served=[kind for kind in JobKind if queue_of(kind) in queues],
        has_room=lambda: runner.busy < places,
    ).start()


@worker_shutting_down.connect
def _hand_back(**_kwargs: Any) -> None:
    shutdown.set()
    desk.close()


@worker_shutdown.connect
def _dispose(**_kwargs: Any) -> None:
    engine.dispose()
