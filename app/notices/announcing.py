"""Each end of a run or an evaluation is announced once: to whoever asked for it, and to the webhooks that want to know.

A mark on the job's row says that it was; it is set in the transaction that writes what is to be told, so an end is neither
forgotten by a crash nor told twice by two workers.
"""

import uuid
from typing import Any, Final, cast

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, select

from app.accounts.models import User
from app.core.database import database_now, utc_now
from app.core.errors import StudioError
from app.core.i18n import use_locale
from app.core.settings import Settings
from app.evaluations.models import Evaluation
from app.evaluations.service import list_evaluations, verdicts
from app.gates.limits import read_request
from app.gates.service import judge
from app.jobs.models import Job, JobKind, JobState
from app.notices.messages import Event, Message, MessageData, VerdictTold
from app.notices.models import Delivery, Notice, Webhook
from app.runs.models import Run
from app.sentences import Failure

_KINDS: Final = (JobKind.TRAIN, JobKind.EVALUATE)
_ENDS: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_AT_ONCE: Final = 50
_EVENTS: Final = {
    (JobKind.TRAIN, JobState.SUCCEEDED): Event.RUN_SUCCEEDED,
    (JobKind.TRAIN, JobState.FAILED): Event.RUN_FAILED,
    (JobKind.TRAIN, JobState.CANCELLED): Event.RUN_CANCELLED,
    (JobKind.EVALUATE, JobState.SUCCEEDED): Event.EVALUATION_SUCCEEDED,
    (JobKind.EVALUATE, JobState.FAILED): Event.EVALUATION_FAILED,
}


def announce_ends(session: Session, settings: Settings) -> int:
    """Write down what is to be told of the ends that were not announced yet. How many they were."""
    statement = (
        select(Job)
        .where(col(Job.announced).is_(False), col(Job.state).in_(_ENDS), col(Job.kind).in_(_KINDS))
        .order_by(col(Job.id))
        .limit(_AT_ONCE)
    )
    done = 0
    for job in session.exec(statement).all():
        mark = update(Job).where(col(Job.id) == job.id, col(Job.announced).is_(False)).values(announced=True)
        told = session.execute(mark, execution_options={"synchronize_session": False})
        if cast(CursorResult[Any], told).rowcount:
            # What programs read is in one language.
            with use_locale("en"):
                _announce(session, settings, job)
            done += 1
    return done


def deliver(session: Session, webhook: Webhook, message: Message) -> Delivery:
    """Put a message on its way."""
    assert webhook.id is not None
    delivery = Delivery(
        webhook_id=webhook.id,
        message_id=f"msg_{uuid.uuid4().hex}",
        event=message.type,
        message=message,
        next_at=database_now(session),
    )
    session.add(delivery)
    session.flush()
    return delivery


def _announce(session: Session, settings: Settings, job: Job) -> None:
    event = _EVENTS.get((job.kind, job.state))
    evaluation = (
        session.exec(select(Evaluation).where(Evaluation.job_id == job.id)).first()
        if job.kind is JobKind.EVALUATE
        else None
    )
    found = Run.id == evaluation.run_id if evaluation else Run.job_id == job.id
    run = session.exec(select(Run).where(found)).first()
    if event is None or run is None:
        return
    message = _message(session, settings, event, job, run, evaluation)
    if job.created_by_user_id is not None and session.get(User, job.created_by_user_id) is not None:
        session.add(Notice(user_id=job.created_by_user_id, message=message))
    for webhook in session.exec(select(Webhook).where(col(Webhook.is_active))):
        if event in webhook.events:
            deliver(session, webhook, message)
        if Event.GATE_JUDGED in webhook.events and _is_judged(session, run, job):
            deliver(session, webhook, _gate(session, settings, webhook, run))


def _message(
    session: Session, settings: Settings, event: Event, job: Job, run: Run, evaluation: Evaluation | None
) -> Message:
    failure = Failure.from_json(job.failure) if job.failure else None
    verdict = verdicts(session, [run.id or 0]).get(run.id or 0) if evaluation else None
    page = f"/evaluations/{evaluation.id}" if evaluation else f"/runs/{run.id}"
    data = MessageData(
        run_id=run.id,
        run=run.name,
        evaluation_id=evaluation.id if evaluation else None,
        suite=evaluation.suite_name if evaluation else None,
        asked_by=job.created_by,
        error=failure.sentence.english() if failure else None,
        error_code=job.error_code,
        verdict=VerdictTold(level=verdict.level, word=verdict.word, detail=verdict.detail)
        if verdict
        else None,
        page=page,
        url=_address(settings, page),
    )
    return Message(type=event, timestamp=job.finished_at or utc_now(), data=data)


def _is_judged(session: Session, run: Run, job: Job) -> bool:
    """Whether this end was the last that a gate on the run has to wait for."""
    if job.kind is JobKind.TRAIN:
        return job.state is JobState.SUCCEEDED and not run.evaluate_with
    return all(other.is_final for _one, other in list_evaluations(session, run_id=run.id))


def _gate(session: Session, settings: Settings, webhook: Webhook, run: Run) -> Message:
    page = f"/runs/{run.id}/gate"
    data = MessageData(run_id=run.id, run=run.name, page=page, url=_address(settings, page))
    try:
        asked = read_request([webhook.gate_min], [webhook.gate_max], webhook.gate_against, [])
        data.gate = judge(session, run, asked)
    except StudioError as refused:
        data.error, data.error_code = refused.translated(), str(refused.code)
    return Message(type=Event.GATE_JUDGED, timestamp=utc_now(), data=data)


def _address(settings: Settings, page: str) -> str | None:
    return f"{settings.public_url.rstrip('/')}{page}" if settings.public_url else None
