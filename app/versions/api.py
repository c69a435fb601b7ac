"""REST for frozen versions."""

from fastapi import APIRouter

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.web import AppStorage, Db
from app.datasets.service import require_dataset
from app.versions import service
from app.versions.freezing import freeze
from app.versions.schemas import VersionOut

router = APIRouter(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets/{dataset_id}/versions")
@needs(Permission.VERSION_READ)
def list_versions(session: Db, dataset_id: int) -> list[VersionOut]:
    """Frozen versions, newest first."""
    require_dataset(session, dataset_id)
    return [VersionOut.of(version) for version in service.list_versions(session, dataset_id)]


@router.post("/datasets/{dataset_id}/versions", status_code=201)
@needs(Permission.VERSION_FREEZE)
def freeze_version(session: Db, storage: AppStorage, actor: CurrentActor, dataset_id: int) -> VersionOut:
    """Freeze the approved conversations; unchanged content gives the existing version."""
    dataset = require_dataset(session, dataset_id)
    return VersionOut.of(freeze(session, storage, dataset, actor))


@router.get("/versions/{version_id}")
@needs(Permission.VERSION_READ)
def get_version(session: Db, version_id: int) -> VersionOut:
    """One frozen version."""
    return VersionOut.of(service.require_version(session, version_id))
