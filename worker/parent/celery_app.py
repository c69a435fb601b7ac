"""The Celery application of the worker: `celery -A worker.parent.celery_app worker`.

Threads, not forks: each task only supervises a child process, and SQLite must not be open across a fork.
"""

import threading
from contextlib import suppress
from typing import Any

from celery.signals import celeryd_after_setup, worker_ready, worker_shutdown, worker_shutting_down
from sqlalchemy.exc import SQLAlchemyError

from app import tables as _tables  # noqa: F401 - metadata must be complete before the first query
from app.core.database import build_engine, transaction
from app.core.logging import configure_logging
from app.core.settings import get_settings
from app.core.storage import Storage
from app.jobs.bell import TASK_NAME, celery_app, hang_bell
from app.jobs.claiming import is_served
from app.jobs.devices import these_devices
from app.jobs.models import JobKind
from app.jobs.workers import Presence, sign_off
from worker.parent.chat_desk import ChatDesk
from worker.parent.handlers import HANDLERS
from worker.parent.messenger import Messenger
from worker.parent.reconciler import Reconciler
from worker.parent.runner import JobRunner
from worker.parent.supervisor import Supervisor
from worker.parent.tracking import start_tracking

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
reconciler: Reconciler | None = None
celery = celery_app(settings)


@celery.task(name=TASK_NAME, ignore_result=True)
def run_job(job_id: int) -> None:
    """Do what waits in the queue of this job. Safe to run twice."""
    runner.run(job_id)


@celeryd_after_setup.connect
def _find_places(sender: str, instance: Any, **_kwargs: Any) -> None:
    """Before the first bell: what this worker serves, and what with."""
    global reconciler
    queues = ",".join(sorted(instance.app.amqp.queues.consume_from))
    kinds = {kind for kind in JobKind if is_served(kind, queues)}
    runner.threads = instance.concurrency
    # Where chats are answered beside other work, one thread is theirs.
    shared = JobKind.CHAT in kinds and len(kinds) > 1
    runner.places = max(1, runner.threads - shared)
    supervisor.devices = these_devices(settings.training_per_device, settings.gpus_per_run)
    presence = Presence(sender.partition("@")[0], queues, runner.places, supervisor.devices)
    reconciler = Reconciler(engine, settings, storage, shutdown, runner=runner, presence=presence)
    # A database that is away is told later.
    with suppress(SQLAlchemyError):
        reconciler.tell_presence()


@worker_ready.connect
def _start_reconciler(**_kwargs: Any) -> None:
    assert reconciler is not None
    reconciler.start()
    Messenger(engine, settings, shutdown).start()
    start_tracking(engine, settings, storage, shutdown)


@worker_shutting_down.connect
def _hand_back(**_kwargs: Any) -> None:
    shutdown.set()
    desk.close()


@worker_shutdown.connect
def _dispose(**_kwargs: Any) -> None:
    if runner.worker_id is not None:
        with suppress(SQLAlchemyError), transaction(engine) as session:
            sign_off(session, runner.worker_id)
    engine.dispose()
