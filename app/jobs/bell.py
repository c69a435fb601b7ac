"""Ringing for a worker: a Celery message with a job id, sent by task name so that the web loads no worker code.

Whoever builds an engine hangs a bell on it once; from then on every job that a session of it promises or puts back
rings by itself after the commit. Losing, doubling or delaying the message changes nothing: the reconciler rings again
for what is still queued.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine
from sqlmodel import Session

from app.core.logging import get_logger
from app.core.settings import Settings
from app.core.transactions import after_commit
from app.jobs.models import Job, JobKind

if TYPE_CHECKING:
    from celery import Celery

logger = get_logger(__name__)
TASK_NAME: Final = "sft_studio.run_job"
# Chat answers a waiting person: it must not queue behind an hour of training.
QUEUES: Final = {JobKind.CHAT: "interactive", JobKind.TRAIN: "training", JobKind.EVALUATE: "training"}
DEFAULT_QUEUE: Final = "default"
# An execution option, which connections and variants of an engine inherit: the settings that lead to the broker.
_BELL: Final = "sft_studio_bell"


def queue_of(kind: JobKind) -> str:
    """Celery queue that serves this kind."""
    return QUEUES.get(kind, DEFAULT_QUEUE)


def kinds_beside(kind: JobKind) -> tuple[JobKind, ...]:
    """The kinds that share its queue, itself among them."""
    return tuple(other for other in JobKind if queue_of(other) == queue_of(kind))


@cache
def celery_app(settings: Settings) -> "Celery":
    """Celery configured for Redis, or for folders inside the data folder."""
    # Here and not above: pages answer before anything rings, and it takes a quarter of a second.
    from celery import Celery

    from app.jobs.broker_folder import BROKER_URL

    app = Celery("sft_studio")
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        task_default_queue=DEFAULT_QUEUE,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=2,
        worker_hijack_root_logger=False,
        # Stop requests are columns and leases are rows: nobody speaks to workers through the broker, so its remote
        # control, gossip and event messages would only be traffic (and files, on the embedded one).
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_send_sent_event=False,
    )
    if settings.redis_url:
        app.conf.update(broker_url=settings.redis_url)
        return app
    messages = str(settings.broker_dir / "messages")
    app.conf.update(
        broker_url=BROKER_URL,
        broker_transport_options={
            "queues": [DEFAULT_QUEUE, *QUEUES.values()],
            "data_folder_in": messages,
            "data_folder_out": messages,
            "control_folder": str(settings.broker_dir / "control"),
            "polling_interval": 0.2,
        },
    )
    return app


def ring(settings: Settings, job_id: int, kind: JobKind) -> None:
    """Tell a worker. A broker that is down is logged, not raised: the reconciler will ring again."""
    from kombu.exceptions import ChannelError, OperationalError

    try:
        celery_app(settings).send_task(TASK_NAME, args=[job_id], queue=queue_of(kind), retry=False)
    except (OperationalError, ChannelError, OSError) as error:
        logger.warning("the broker is out of reach (%s); job %d waits for the reconciler", error, job_id)


def hang_bell(engine: Engine, settings: Settings) -> None:
    """From now on jobs of this database ring where these settings say."""
    engine.update_execution_options(**{_BELL: settings})


def ring_after_commit(session: Session, job: Job) -> None:
    """Ring once the promise is in the database, never before. On an engine without a bell the reconciler rings."""
    settings: Settings | None = session.get_bind().get_execution_options().get(_BELL)
    job_id, kind = job.id, job.kind
    assert job_id is not None
    if settings is not None:
        after_commit(session, lambda: ring(settings, job_id, kind))
