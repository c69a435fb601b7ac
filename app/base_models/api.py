"""REST for base models."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.base_models import removal, service
from app.base_models.schemas import BaseModelIn, BaseModelOut
from app.core.routing import Router
from app.core.web import AppSettings, AppStorage, Db
from app.jobs.models import Job
from app.jobs.service import require_job

router = Router(prefix="/api/v1/base-models", tags=["base models"])


@router.get("")
@needs(Permission.BASE_MODEL_READ)
def list_base_models(
    session: Db,
) -> list[BaseModelOut]:
    """All base models."""
    return [BaseModelOut.of(model, job) for model, job in service.list_base_models(session)]


@router.post("", status_code=201)
@needs(Permission.BASE_MODEL_ADD)
def add_base_model(
    session: Db, settings: AppSettings, actor: CurrentActor, body: BaseModelIn
) -> BaseModelOut:
    """Register a model and begin to prepare it; registering it again is harmless."""
    given = body.model_dump(exclude={"tokenizer_only"})
    job: Job | None
    if body.tokenizer_only:
        model = service.register_base_model(session, settings, actor, **given)
        job = service.promise_tokenizer(session, model, actor)
    else:
        model, job = service.add_base_model(session, settings, actor, **given)
    return BaseModelOut.of(model, job)


@router.get("/{base_model_id}")
@needs(Permission.BASE_MODEL_READ)
def get_base_model(session: Db, base_model_id: int) -> BaseModelOut:
    """One base model."""
    model = service.require_base_model(session, base_model_id)
    return BaseModelOut.of(model, require_job(session, model.job_id) if model.job_id else None)


@router.delete("/{base_model_id}", status_code=204)
@needs(Permission.BASE_MODEL_REMOVE)
def remove_base_model(
    session: Db, storage: AppStorage, settings: AppSettings, actor: CurrentActor, base_model_id: int
) -> None:
    """Remove a base model with its files. 409 while it is being prepared, and where a mask check or a run was made with it."""
    model = service.require_base_model(session, base_model_id)
    removal.remove_base_model(session, storage, settings.data_dir, actor, model)


@router.post("/{base_model_id}/retry")
@needs(Permission.BASE_MODEL_ADD)
def retry_base_model(session: Db, actor: CurrentActor, base_model_id: int) -> BaseModelOut:
    """Prepare a model again whose preparation failed."""
    model, job = service.retry(session, actor, base_model_id)
    return BaseModelOut.of(model, job)
