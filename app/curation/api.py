"""REST for datasets."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations.counts import DatasetCounts, dataset_counts
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.curation import lines, removal
from app.curation.schemas import DatasetOut
from app.datasets import service
from app.datasets.schemas import DatasetEdit, DatasetIn

router = Router(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets")
@needs(Permission.DATASET_READ)
def list_datasets(session: Db, name: str | None = None, archived: bool = False) -> list[DatasetOut]:
    """Datasets, newest first: those at hand, or the archived ones. `name` picks one, archived or not."""
    found = lines.list_datasets(session, archived=archived if name is None else None)
    return [DatasetOut.of(dataset, counts) for dataset, counts in found if name in (None, dataset.name)]


@router.post("/datasets", status_code=201)
@needs(Permission.DATASET_CREATE)
def create_dataset(session: Db, actor: CurrentActor, body: DatasetIn) -> DatasetOut:
    """A new, empty dataset."""
    dataset = service.create_dataset(session, actor, name=body.name, description=body.description)
    return DatasetOut.of(dataset, DatasetCounts.by_state({}))


@router.get("/datasets/{dataset_id}")
@needs(Permission.DATASET_READ)
def get_dataset(session: Db, dataset_id: int) -> DatasetOut:
    """One dataset."""
    return DatasetOut.of(service.require_dataset(session, dataset_id), dataset_counts(session, dataset_id))


@router.patch("/datasets/{dataset_id}")
@needs(Permission.DATASET_DESCRIBE)
def describe_dataset(session: Db, actor: CurrentActor, dataset_id: int, body: DatasetEdit) -> DatasetOut:
    """Rename a dataset, describe it anew, or both."""
    dataset = service.require_dataset(session, dataset_id)
    service.describe_dataset(session, actor, dataset, name=body.name, description=body.description)
    return DatasetOut.of(dataset, dataset_counts(session, dataset_id))


@router.delete("/datasets/{dataset_id}", status_code=204)
@needs(Permission.DATASET_DELETE)
def delete_dataset(session: Db, storage: AppStorage, actor: CurrentActor, dataset_id: int) -> None:
    """Erase a dataset with all it holds. 409 while a run or a mask check needs one of its versions."""
    removal.delete_dataset(session, storage, actor, dataset_id)


@router.post("/datasets/{dataset_id}/archive")
@needs(Permission.DATASET_ARCHIVE)
def archive_dataset(session: Db, actor: CurrentActor, dataset_id: int) -> DatasetOut:
    """Make a dataset read-only and take it out of the lists."""
    dataset = service.archive_dataset(session, actor, dataset_id)
    return DatasetOut.of(dataset, dataset_counts(session, dataset_id))


@router.post("/datasets/{dataset_id}/restore")
@needs(Permission.DATASET_ARCHIVE)
def restore_dataset(session: Db, actor: CurrentActor, dataset_id: int) -> DatasetOut:
    """Bring an archived dataset back."""
    dataset = service.restore_dataset(session, actor, dataset_id)
    return DatasetOut.of(dataset, dataset_counts(session, dataset_id))
