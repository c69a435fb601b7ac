"""The settings of a dataset: its name and description, putting it away, deleting it."""

from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.core.errors import Conflict, StudioError
from app.core.routing import Router
from app.core.templating import go, render
from app.core.web import AppStorage, Db
from app.curation import removal
from app.curation.header import header
from app.datasets import service
from app.datasets.models import Dataset

router = Router(include_in_schema=False)


def _context(session: Session, actor: Actor, dataset: Dataset, **more: Any) -> dict[str, Any]:
    assert dataset.id is not None
    return {
        **header(session, actor, dataset, "settings"),
        "removal": removal.plan_removal(session, dataset.id),
        "name": dataset.name,
        "description": dataset.description,
        "errors": {},
        "refused": None,
        **more,
    }


@router.get("/datasets/{dataset_id}/settings")
@needs(Permission.DATASET_DESCRIBE)
def settings_page(request: Request, session: Db, actor: CurrentActor, dataset_id: int) -> HTMLResponse:
    """Name, description, archive, delete."""
    dataset = service.require_dataset(session, dataset_id)
    return render(request, "datasets/settings.html", _context(session, actor, dataset))


@router.post("/datasets/{dataset_id}/settings", response_model=None)
@needs(Permission.DATASET_DESCRIBE)
def describe(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    name: Annotated[str, Form()] = "",
    description: Annotated[str, Form()] = "",
) -> Response:
    """Rename, describe anew."""
    dataset = service.require_dataset(session, dataset_id)
    try:
        service.describe_dataset(session, actor, dataset, name=name, description=description)
    except StudioError as error:
        session.rollback()
        dataset = service.require_dataset(session, dataset_id)
        said = {error.field or "name": error.translated()}
        context = _context(session, actor, dataset, name=name, description=description, errors=said)
        return render(request, "datasets/settings.html", context, status=error.status)
    return go(request, f"/datasets/{dataset_id}")


@router.post("/datasets/{dataset_id}/archive", response_model=None)
@needs(Permission.DATASET_ARCHIVE)
def archive(request: Request, session: Db, actor: CurrentActor, dataset_id: int) -> Response:
    """Put the dataset away."""
    service.archive_dataset(session, actor, dataset_id)
    return go(request, f"/datasets/{dataset_id}")


@router.post("/datasets/{dataset_id}/restore", response_model=None)
@needs(Permission.DATASET_ARCHIVE)
def restore(request: Request, session: Db, actor: CurrentActor, dataset_id: int) -> Response:
    """Bring the dataset back."""
    service.restore_dataset(session, actor, dataset_id)
    return go(request, f"/datasets/{dataset_id}")


@router.post("/datasets/{dataset_id}/delete", response_model=None)
@needs(Permission.DATASET_DELETE)
def delete(
    request: Request, session: Db, storage: AppStorage, actor: CurrentActor, dataset_id: int
) -> Response:
    """Delete the dataset, or say what still needs it."""
    try:
        removal.delete_dataset(session, storage, actor, dataset_id)
    except Conflict as error:
        session.rollback()
        dataset = service.require_dataset(session, dataset_id)
        context = _context(session, actor, dataset, refused=error.translated())
        return render(request, "datasets/settings.html", context, status=error.status)
    return go(request, "/datasets")
