"""Mask checks of whole versions: asked for once, found again, confirmed by a person or a token."""

import hashlib
from pathlib import Path

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.accounts.service import Actor
from app.base_models.service import require_ready
from app.core.errors import Invalid, NotFound
from app.core.storage import Storage
from app.jobs.models import Job, JobKind
from app.jobs.service import enqueue, require_job
from app.mask_checks.models import MaskCheck
from app.mask_settings.fields import MaskSettingsIn
from app.mask_settings.tokenizers import load_tokenizer, require_arguments
from app.masking import MaskSettings, file_hash
from app.sentences import N_
from app.versions.service import require_version


def settings_key(settings: MaskSettings) -> str:
    """sha256 of the settings' canonical JSON."""
    return hashlib.sha256(settings.to_json().encode()).hexdigest()


def request_check(
    session: Session,
    actor: Actor,
    *,
    dataset_version_id: int,
    base_model_id: int,
    settings: MaskSettings,
    storage: Storage | None = None,
) -> tuple[MaskCheck, Job]:
    """The check for this version × model × settings; asked for if there is none, again if it could not be done
    or no run would take it any more: another tokenizer or chat template since, or (in `storage`) other arrays.

    Raises Invalid when max_length is more than the model can read, or its template reads no such argument.
    """
    require_version(session, dataset_version_id)
    model, folder = require_ready(session, base_model_id)
    require_arguments(folder, settings)
    context_length = model.info.get("context_length")
    if context_length and settings.max_length and settings.max_length > context_length:
        raise Invalid(
            N_("“%(model)s” reads at most %(limit)d tokens. Lower the maximum length."),
            field="max_length",
            model=model.name,
            limit=context_length,
        )
    question = MaskCheck(
        dataset_version_id=dataset_version_id,
        base_model_id=base_model_id,
        settings=MaskSettingsIn.of(settings),
        settings_key=settings_key(settings),
        job_id=0,
        **actor.who.columns(),
    )
    check = _same_question(session, question)
    job = require_job(session, check.job_id) if check else None
    if (
        check
        and job
        and not (job.is_final and (check.passed is None or _is_outdated(check, folder, storage)))
    ):
        return check, job
    try:
        with session.begin_nested():
            return _promise(session, check or question, actor)
    except IntegrityError:
        # Somebody else asked the same at the same moment; theirs is the check.
        check = _same_question(session, question)
        if check is None:
            raise
        return check, require_job(session, check.job_id)


def _is_outdated(check: MaskCheck, folder: Path, storage: Storage | None) -> bool:
    made_with = check.report.tokenizer_hash if check.report else None
    if made_with is not None and made_with != load_tokenizer(folder).fingerprint:
        return True
    written = check.report.file_hash if check.report else None
    if storage is None or check.arrays_key is None or written is None:
        return False
    arrays = storage.path(check.arrays_key)
    return not arrays.is_file() or file_hash(arrays) != written


def _same_question(session: Session, question: MaskCheck) -> MaskCheck | None:
    statement = select(MaskCheck).where(
        MaskCheck.dataset_version_id == question.dataset_version_id,
        MaskCheck.base_model_id == question.base_model_id,
        MaskCheck.settings_key == question.settings_key,
    )
    return session.exec(statement.with_for_update()).first()


def _promise(session: Session, check: MaskCheck, actor: Actor) -> tuple[MaskCheck, Job]:
    job = enqueue(session, JobKind.CHECK_MASKS, {}, created_by=actor.who)
    assert job.id is not None
    check.job_id = job.id
    check.passed = None  # nobody starts on what is being made again
    session.add(check)
    session.flush()
    job.payload = {"mask_check_id": check.id}
    session.add(job)
    session.flush()
    return check, job


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
