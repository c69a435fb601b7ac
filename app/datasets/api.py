"""REST for datasets, their imports, conversations and versions."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Query, Response, UploadFile

from app.accounts.access import Annotator, AnyActor, Engineer, Reviewer
from app.conversations import service as conversations
from app.conversations.filters import ConversationFilter
from app.conversations.listing import Listing
from app.conversations.models import Outcome, ReviewState
from app.conversations.schemas import ConversationIn, ConversationOut, ConversationPage
from app.core.i18n import gettext
from app.core.web import AppStorage, Db
from app.datasets import imports, removal, service, versions
from app.datasets.incoming import IncomingFile
from app.datasets.schemas import (
    DatasetEdit,
    DatasetIn,
    DatasetOut,
    ImportOut,
    ReviewManyIn,
    ReviewManyOut,
    VersionOut,
)
from app.datasets.sources import Told
from app.interchange import Format

router = APIRouter(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets")
def list_datasets(
    session: Db, _actor: AnyActor, name: str | None = None, archived: bool = False
) -> list[DatasetOut]:
    """Datasets, newest first: those at hand, or the archived ones. `name` picks one, archived or not."""
    found = service.list_datasets(session, archived=archived if name is None else None)
    return [DatasetOut.of(dataset, counts) for dataset, counts in found if name in (None, dataset.name)]


@router.post("/datasets", status_code=201)
def create_dataset(session: Db, actor: Annotator, body: DatasetIn) -> DatasetOut:
    """A new, empty dataset."""
    dataset = service.create_dataset(session, actor, name=body.name, description=body.description)
    return DatasetOut.of(dataset, service.DatasetCounts())


@router.get("/datasets/{dataset_id}")
def get_dataset(session: Db, _actor: AnyActor, dataset_id: int) -> DatasetOut:
    """One dataset."""
    return DatasetOut.of(
        service.require_dataset(session, dataset_id), service.dataset_counts(session, dataset_id)
    )


@router.patch("/datasets/{dataset_id}")
def describe_dataset(session: Db, actor: Reviewer, dataset_id: int, body: DatasetEdit) -> DatasetOut:
    """Rename a dataset, describe it anew, or both."""
    dataset = service.require_dataset(session, dataset_id)
    service.describe_dataset(session, actor, dataset, name=body.name, description=body.description)
    return DatasetOut.of(dataset, service.dataset_counts(session, dataset_id))


@router.delete("/datasets/{dataset_id}", status_code=204)
def delete_dataset(session: Db, storage: AppStorage, actor: Engineer, dataset_id: int) -> None:
    """Erase a dataset with all it holds. 409 while a run or a mask check needs one of its versions."""
    removal.delete_dataset(session, storage, actor, dataset_id)


@router.post("/datasets/{dataset_id}/archive")
def archive_dataset(session: Db, actor: Engineer, dataset_id: int) -> DatasetOut:
    """Make a dataset read-only and take it out of the lists."""
    dataset = removal.archive_dataset(session, actor, dataset_id)
    return DatasetOut.of(dataset, service.dataset_counts(session, dataset_id))


@router.post("/datasets/{dataset_id}/restore")
def restore_dataset(session: Db, actor: Engineer, dataset_id: int) -> DatasetOut:
    """Bring an archived dataset back."""
    dataset = removal.restore_dataset(session, actor, dataset_id)
    return DatasetOut.of(dataset, service.dataset_counts(session, dataset_id))


def _sent_file(
    file: Annotated[UploadFile, File()],
    told: Told,
    format: Annotated[Format, Form()] = "auto",
    skip_bad: Annotated[bool, Form()] = False,
) -> Iterator[IncomingFile]:
    """The file of a request with what was said about it, open until the answer is made."""
    filename = file.filename or "upload"
    source = told.read(filename, format)
    with IncomingFile(file.file, filename=filename, format=format, skip_bad=skip_bad, source=source) as sent:
        yield sent


SentFile = Annotated[IncomingFile, Depends(_sent_file, scope="function")]


@router.post("/imports", status_code=201, responses={422: {"model": ImportOut}})
def import_by_name(
    session: Db,
    actor: Annotator,
    response: Response,
    dataset: Annotated[str, Form(max_length=80)],
    sent: SentFile,
) -> ImportOut:
    """Import a file into the dataset of this name, made if there is none. A file that brings nothing makes none."""
    report = imports.import_by_name(session, dataset, actor, sent)
    if report.problem_count and (report.id is None or not sent.skip_bad):
        response.status_code = 422
    return ImportOut.of(report)


@router.post("/datasets/{dataset_id}/imports", status_code=201, responses={422: {"model": ImportOut}})
def import_file(
    session: Db, actor: Annotator, response: Response, dataset_id: int, sent: SentFile
) -> ImportOut:
    """Import a file. 201 when conversations came in; 422 with the report when a problem kept all of them out."""
    report = imports.import_file(session, dataset_id, actor, sent)
    if report.problem_count and not sent.skip_bad:
        response.status_code = 422
    return ImportOut.of(report)


@router.get("/datasets/{dataset_id}/imports")
def list_imports(session: Db, _actor: AnyActor, dataset_id: int) -> list[ImportOut]:
    """Reports of all imports, newest first."""
    service.require_dataset(session, dataset_id)
    return [ImportOut.of(found) for found in imports.list_imports(session, dataset_id)]


@router.get("/imports/{import_id}")
def get_import(session: Db, _actor: AnyActor, import_id: int) -> ImportOut:
    """The report of one import."""
    return ImportOut.of(imports.require_import(session, import_id))


@router.get("/datasets/{dataset_id}/conversations")
def list_conversations(
    session: Db,
    _actor: AnyActor,
    dataset_id: int,
    review_state: ReviewState | None = None,
    outcome: Outcome | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ConversationPage:
    """Conversations of a dataset, filtered, in order of arrival."""
    service.require_dataset(session, dataset_id)
    where = ConversationFilter(dataset_id, review_state, outcome, q)
    listing = Listing(session, where)
    found = [ConversationOut.of(item) for item in listing.page(offset, limit)]
    return ConversationPage(conversations=found, total=listing.total, offset=offset)


@router.post("/datasets/{dataset_id}/conversations", status_code=201)
def create_conversation(
    session: Db, actor: Annotator, dataset_id: int, body: ConversationIn
) -> ConversationOut:
    """Add one conversation as a draft."""
    service.require_dataset(session, dataset_id)
    data = body.model_dump(exclude={"messages"}, exclude_none=True)
    data["messages"] = [message.plain() for message in body.messages]
    return ConversationOut.of(conversations.create_conversation(session, dataset_id, data, actor))


@router.post("/datasets/{dataset_id}/review")
def review_many(session: Db, actor: Reviewer, dataset_id: int, body: ReviewManyIn) -> ReviewManyOut:
    """Review the named conversations, or every draft when none is named."""
    service.require_dataset(session, dataset_id)
    ids = (
        body.conversation_ids if body.conversation_ids is not None else service.draft_ids(session, dataset_id)
    )
    service.require_members(session, dataset_id, ids)
    changed, refused = conversations.review_many(session, ids, actor, body.state, body.reason)
    reasons = [{"conversation_id": found, "reason": gettext(reason)} for found, reason in refused]
    return ReviewManyOut(changed=changed, refused=reasons)


@router.get("/datasets/{dataset_id}/versions")
def list_versions(session: Db, _actor: AnyActor, dataset_id: int) -> list[VersionOut]:
    """Frozen versions, newest first."""
    service.require_dataset(session, dataset_id)
    return [VersionOut.of(version) for version in versions.list_versions(session, dataset_id)]


@router.post("/datasets/{dataset_id}/versions", status_code=201)
def freeze_version(session: Db, storage: AppStorage, actor: Engineer, dataset_id: int) -> VersionOut:
    """Freeze the approved conversations; unchanged content gives the existing version."""
    dataset = service.require_dataset(session, dataset_id)
    return VersionOut.of(versions.freeze(session, storage, dataset, actor))


@router.get("/versions/{version_id}")
def get_version(session: Db, _actor: AnyActor, version_id: int) -> VersionOut:
    """One frozen version."""
    return VersionOut.of(versions.require_version(session, version_id))
