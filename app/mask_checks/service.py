"""Mask checks of whole versions: asked for once, found again, confirmed by a person or a token."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.service import Actor
from app.base_models.service import require_ready
from app.core.errors import Invalid, NotFound
from app.core.slow_work import Bounds
from app.core.storage import Storage
from app.files import file_sha256
from app.jobs.models import Job, JobKind
from app.jobs.service import enqueue_with, require_job
from app.mask_checks.models import MaskCheck
from app.mask_checks.work import CheckPayload
from app.mask_settings.fields import MaskSettingsIn
from app.mask_settings.tokenizers import load_tokenizer, require_arguments
from app.masking import MaskSettings
from app.sentences import N_
from app.versions.service import require_version

# Each hashes arrays of up to gigabytes.
CHECKS: Final = Bounds(
    at_once=4,
    each=2,
    asked=8,
    seconds=30,
    too_many=N_("You have asked for many mask checks at once. Wait until some of them are answered."),
    too_long=N_("Mask checks take long to ask for at this moment. Try again in a few seconds."),
)


def settings_key(settings: MaskSettings) -> str:
    """sha256 of the settings' canonical JSON."""
    return hashlib.sha256(settings.to_json().encode()).hexdigest()


@dataclass(frozen=True)
class Finished:
    """A check's result: the job that found it, and what it was found from (None: early checks kept none).

    `is_whole` is False where something was not looked for yet that is looked for now.
    """

    job_id: int
    tokenizer_hash: str | None
    arrays_key: str | None
    file_hash: str | None
    is_whole: bool


@dataclass(frozen=True)
class Question:
    """How a version is masked for a model with these settings; `finished` if a check has answered it."""

    dataset_version_id: int
    base_model_id: int
    settings: MaskSettings
    folder: Path
    finished: Finished | None


@dataclass(frozen=True)
class Examined:
    """A question that the model's files allow; `outdated_job` found a result that no run would take any more."""

    question: Question
    outdated_job: int | None


def read_question(
    session: Session, *, dataset_version_id: int, base_model_id: int, settings: MaskSettings
) -> Question:
    """What is known of the question. Raises Invalid when max_length is more than the model can read.

    Without a max_length samples are cut at what the model reads, and the report counts what is cut.
    """
    require_version(session, dataset_version_id)
    model, folder = require_ready(session, base_model_id)
    context_length = model.info.context_length
    if context_length and not settings.max_length:
        settings = replace(settings, max_length=context_length)
    if context_length and settings.max_length and settings.max_length > context_length:
        raise Invalid(
            N_("“%(model)s” reads at most %(limit)d tokens. Lower the length limit."),
            field="max_length",
            model=model.name,
            limit=context_length,
        )
    check = session.exec(_asking(dataset_version_id, base_model_id, settings)).first()
    return Question(dataset_version_id, base_model_id, settings, folder, _finished(session, check))


def _finished(session: Session, check: MaskCheck | None) -> Finished | None:
    if check is None or check.report is None or not require_job(session, check.job_id).is_final:
        return None
    report = check.report
    is_whole = report.leaked is not None or not check.arrays_key
    return Finished(check.job_id, report.tokenizer_hash, check.arrays_key, report.file_hash, is_whole)


def examine(question: Question, storage: Storage) -> Examined:
    """Compare a finished check with the files as they are. It loads a tokenizer and hashes arrays: no connection may be
    held. Raises Invalid when the model's template reads no such argument.
    """
    require_arguments(question.folder, question.settings)
    finished = question.finished
    outdated = finished is not None and _is_outdated(finished, question.folder, storage)
    return Examined(question, finished.job_id if finished and outdated else None)


def _is_outdated(finished: Finished, folder: Path, storage: Storage) -> bool:
    if not finished.is_whole:
        return True
    made_with = finished.tokenizer_hash
    if made_with is not None and made_with != load_tokenizer(folder).fingerprint:
        return True
    if finished.arrays_key is None or finished.file_hash is None:
        return False
    arrays = storage.path(finished.arrays_key)
    return not arrays.is_file() or file_sha256(arrays) != finished.file_hash


def request_check(session: Session, actor: Actor, examined: Examined) -> tuple[MaskCheck, Job]:
    """The check that answers this question; asked for if there is none, again if it could not be done or is outdated:
    another tokenizer or chat template since, other arrays, or an earlier program that looked for less.
    """
    question = examined.question
    asking = _asking(question.dataset_version_id, question.base_model_id, question.settings).with_for_update()
    check = session.exec(asking).first()
    job = require_job(session, check.job_id) if check else None
    # What another job has found since the files were looked at is no older than they are.
    if check and job and not (job.is_final and (check.passed is None or job.id == examined.outdated_job)):
        return check, job
    try:
        with session.begin_nested():
            return _promise(session, check or _new(question, actor), actor)
    except IntegrityError:
        # Somebody else asked the same at the same moment; theirs is the check.
        check = session.exec(asking).first()
        if check is None:
            raise
        return check, require_job(session, check.job_id)


def _new(question: Question, actor: Actor) -> MaskCheck:
    return MaskCheck(
        dataset_version_id=question.dataset_version_id,
        base_model_id=question.base_model_id,
        settings=MaskSettingsIn.of(question.settings),
        settings_key=settings_key(question.settings),
        job_id=0,
        **actor.who.columns(),
    )


def _asking(dataset_version_id: int, base_model_id: int, settings: MaskSettings) -> SelectOfScalar[MaskCheck]:
    return select(MaskCheck).where(
        MaskCheck.dataset_version_id == dataset_version_id,
        MaskCheck.base_model_id == base_model_id,
        MaskCheck.settings_key == settings_key(settings),
    )


def _promise(session: Session, check: MaskCheck, actor: Actor) -> tuple[MaskCheck, Job]:
    def asked_again(job_id: int) -> MaskCheck:
        check.job_id = job_id
        check.passed = None  # nobody starts on what is being made again
        return check

    return enqueue_with(
        session,
        JobKind.CHECK_MASKS,
        asked_again,
        lambda mask_check_id: CheckPayload(mask_check_id=mask_check_id),
        created_by=actor.who,
    )


def redo(session: Session, check: MaskCheck, actor: Actor) -> MaskCheck:
    """Its version is another one now: forget what was found, and promise the check anew."""
    check.report, check.arrays_key, check.arrays_hash = None, None, None
    return _promise(session, check, actor)[0]


def require_mask_check(session: Session, mask_check_id: int) -> MaskCheck:
    """The check, or NotFound."""
    check = session.get(MaskCheck, mask_check_id)
    if check is None:
        raise NotFound(N_("There is no mask check %(id)d."), id=mask_check_id)
    return check


def list_mask_checks(session: Session, dataset_version_id: int) -> list[MaskCheck]:
    """Checks of a version, newest first."""
    statement = select(MaskCheck).where(MaskCheck.dataset_version_id == dataset_version_id)
    return list(session.exec(statement.order_by(col(MaskCheck.id).desc())))


def newest_report(session: Session, dataset_version_id: int, base_model_id: int) -> MaskCheck | None:
    """The newest check of a version for a model that is done, whatever its settings."""
    statement = (
        select(MaskCheck)
        .where(
            MaskCheck.dataset_version_id == dataset_version_id,
            MaskCheck.base_model_id == base_model_id,
            col(MaskCheck.passed).is_not(None),
        )
        .order_by(col(MaskCheck.id).desc())
    )
    return session.exec(statement).first()


def newest_mask_checks(session: Session, *, offset: int, limit: int) -> list[MaskCheck]:
    """Checks of all versions, newest first."""
    statement = select(MaskCheck).order_by(col(MaskCheck.id).desc())
    return list(session.exec(statement.offset(offset).limit(limit)))


def count_mask_checks(session: Session) -> int:
    """How many there are of all versions."""
    return session.exec(select(func.count()).select_from(MaskCheck)).one()
