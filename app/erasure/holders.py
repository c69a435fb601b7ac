"""Everything that holds a conversation, by name, before it is erased."""

from dataclasses import dataclass, field

from sqlmodel import Session, and_, col, false, or_, select

from app.accounts.models import AuditEvent
from app.conversations.models import Conversation
from app.core.database import let_go
from app.core.errors import NotFound
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.erasure.chats import chats_that_repeat
from app.exports.kinds import KINDS
from app.exports.service import with_data_of
from app.mask_checks.models import MaskCheck
from app.runs.models import Run
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.redaction import holds


@dataclass(frozen=True)
class HoldingVersion:
    """A version whose file has the conversation, by its names for people."""

    id: int
    dataset_id: int
    dataset: str
    number: int


@dataclass(frozen=True)
class HoldingRun:
    """A run that was trained on such a version: its weights stay as they are."""

    id: int
    name: str


@dataclass(frozen=True)
class HoldingExport:
    """An export of a run that has the version's dialogues among its files."""

    id: int
    run_id: int
    kind: str


@dataclass(frozen=True)
class Download:
    """A version that went out of the studio as files, alone or with an export of a run, which nobody can call back."""

    version: str
    by: str
    at: str


@dataclass(frozen=True)
class Holders:
    """What holds the conversation; `is_stored` is whether the conversation itself is still there."""

    conversation_id: int
    is_stored: bool
    versions: list[HoldingVersion] = field(default_factory=list)
    mask_check_ids: list[int] = field(default_factory=list)
    runs: list[HoldingRun] = field(default_factory=list)
    exports: list[HoldingExport] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    chat_ids: list[int] = field(default_factory=list)
    # The same words in other datasets: conversations of their own.
    twin_ids: list[int] = field(default_factory=list)

    @property
    def version_ids(self) -> list[int]:
        """Ids of the versions."""
        return [version.id for version in self.versions]


def find_holders(session: Session, storage: Storage, conversation_id: int) -> Holders:
    """Reads versions' files, so a reading session holds no connection meanwhile. Raises NotFound where nothing holds it."""
    row = session.get(Conversation, conversation_id)
    statement = select(DatasetVersion, Dataset.name).join(Dataset).order_by(col(DatasetVersion.id))
    if row is not None:
        statement = statement.where(DatasetVersion.dataset_id == row.dataset_id)
    candidates = list(session.exec(statement).all())
    messages = list(row.messages) if row is not None else []
    words = row.words_hash if row is not None else None
    let_go(session)
    versions = [
        HoldingVersion(version.id or 0, version.dataset_id, dataset, version.number)
        for version, dataset in candidates
        if holds(storage, version, conversation_id)
    ]
    if row is None and not versions:
        raise NotFound(N_("There is no conversation %(id)d, and no version holds it."), id=conversation_id)
    users = users_of(session, [version.id for version in versions])
    twins = session.exec(
        select(Conversation.id).where(Conversation.words_hash == words, Conversation.id != conversation_id)
    ).all()
    return Holders(
        conversation_id,
        row is not None,
        versions,
        users.mask_check_ids,
        users.runs,
        users.exports,
        users.downloads,
        chats_that_repeat(session, messages),
        [twin for twin in twins if twin is not None] if words else [],
    )


@dataclass(frozen=True)
class Users:
    """What was made of versions, and whoever has them now."""

    mask_check_ids: list[int]
    runs: list[HoldingRun]
    exports: list[HoldingExport]
    downloads: list[Download]


def users_of(session: Session, ids: list[int]) -> Users:
    """Of the versions of these ids."""
    checks = session.exec(select(MaskCheck.id).where(col(MaskCheck.dataset_version_id).in_(ids))).all()
    runs = session.exec(select(Run.id, Run.name).where(col(Run.dataset_version_id).in_(ids))).all()
    return Users(
        [check for check in checks if check is not None],
        [HoldingRun(run_id or 0, name) for run_id, name in runs],
        [HoldingExport(one.id or 0, one.run_id, one.kind) for one, _job in with_data_of(session, ids)],
        _downloads(session, ids, [run_id or 0 for run_id, _name in runs]),
    )


def _downloads(session: Session, version_ids: list[int], run_ids: list[int]) -> list[Download]:
    subjects = [f"version/{version_id}" for version_id in version_ids]
    with_data = [
        col(AuditEvent.subject).startswith(f"run/{run_id} {kind.name}:", autoescape=True)
        for run_id in run_ids
        for kind in KINDS
        if kind.carries_data
    ]
    lines = session.exec(
        select(AuditEvent)
        .where(
            or_(
                and_(AuditEvent.action == "version.export", col(AuditEvent.subject).in_(subjects)),
                and_(AuditEvent.action == "run.export_download", or_(false(), *with_data)),
            )
        )
        .order_by(col(AuditEvent.id))
    )
    return [Download(line.subject, line.actor, line.created_at.isoformat()) for line in lines]
