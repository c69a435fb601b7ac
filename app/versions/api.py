"""REST for frozen versions."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import let_go
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.datasets.service import require_dataset
from app.versions import service
from app.versions.changes import changes_of
from app.versions.freezing import freeze
from app.versions.frozen import frozen_page
from app.versions.schemas import (
    ChangesOut,
    FreezeIn,
    FrozenConversationOut,
    FrozenConversationsPage,
    FrozenOut,
    VersionEdit,
    VersionOut,
)

router = Router(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets/{dataset_id}/versions")
@needs(Permission.VERSION_READ)
def list_versions(session: Db, dataset_id: int) -> list[VersionOut]:
    """Frozen versions, newest first."""
    require_dataset(session, dataset_id)
    return [VersionOut.of(version) for version in service.list_versions(session, dataset_id)]


@router.post("/datasets/{dataset_id}/versions", status_code=201, responses={200: {"model": FrozenOut}})
@needs(Permission.VERSION_FREEZE)
def freeze_version(
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    dataset_id: int,
    response: Response,
    body: FreezeIn | None = None,
) -> FrozenOut:
    """Freeze the approved conversations, or those of them that `only` chooses; unchanged content gives the existing
    version, with the name it has, with 200 and `is_new` false."""
    dataset = require_dataset(session, dataset_id)
    frozen = freeze(session, storage, dataset, actor, (body or FreezeIn()).options(dataset_id))
    if not frozen.is_new:
        response.status_code = 200
    return FrozenOut.of_frozen(frozen)


@router.get("/versions/{version_id}")
@needs(Permission.VERSION_READ)
def get_version(session: Db, version_id: int) -> VersionOut:
    """One frozen version."""
    return VersionOut.of(service.require_version(session, version_id))


@router.patch("/versions/{version_id}")
@needs(Permission.VERSION_FREEZE)
def edit_version(session: Db, actor: CurrentActor, version_id: int, body: VersionEdit) -> VersionOut:
    """Change a version's name, its note, or both."""
    version = service.require_version(session, version_id)
    service.describe_version(session, actor, version, name=body.name, note=body.note)
    return VersionOut.of(version)


@router.get("/versions/{version_id}/conversations")
@needs(Permission.VERSION_READ)
def list_frozen(
    session: Db,
    storage: AppStorage,
    version_id: int,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> FrozenConversationsPage:
    """The version's conversations as it froze them, whatever has become of them since."""
    version = service.require_version(session, version_id)
    let_go(session)
    rows = frozen_page(storage, version, offset, limit)
    found = [FrozenConversationOut.of(row) for row in rows]
    return FrozenConversationsPage(conversations=found, total=version.conversation_count, offset=offset)


@router.get("/versions/{version_id}/changes")
@needs(Permission.VERSION_READ)
def get_changes(session: Db, storage: AppStorage, version_id: int) -> ChangesOut:
    """What differs from the dataset's version before. The first version has none: 404."""
    before, after = service.require_neighbours(session, version_id)
    let_go(session)
    changes = changes_of(storage, before, after)
    return ChangesOut(since=before.number, **asdict(changes))
