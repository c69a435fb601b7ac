"""Everything that holds a conversation, by name, before it is erased."""

from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from app.accounts.models import AuditEvent
from app.conversations.models import Conversation
from app.core.database import let_go
from app.core.errors import NotFound
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.erasure.chats import chats_that_repeat
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
class Download:
    """A version that went out of the studio as files, which nobody can call back."""

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
    ids = [version.id for version in versions]
    checks = session.exec(select(MaskCheck.id).where(col(MaskCheck.dataset_version_id).in_(ids))).all()
    runs = session.exec(select(Run.id, Run.name).where(col(Run.dataset_version_id).in_(ids))).all()
    twins = session.exec(
        select(Conversation.id).where(Conversation.words_hash == words, Conversation.id != conversation_id)
    ).all()
    return Holders(
        conversation_id,
        row is not None,
        versions,
        [check for check in checks if check is not None],
        [HoldingRun(run_id or 0, name) for run_id, name in runs],
        _downloads(session, ids),
        chats_that_repeat(session, messages),
        [twin for twin in twins if twin is not None] if words else [],
    )


def _downloads(session: Session, version_ids: list[int]) -> list[Download]:
    subjects = [f"version/{version_id}" for version_id in version_ids]
    lines = session.exec(
        select(AuditEvent)
        .where(AuditEvent.action == "version.export", col(AuditEvent.subject).in_(subjects))
        .order_by(col(AuditEvent.id))
    )
    return [Download(line.subject, line.actor, line.created_at.isoformat()) for line in lines]
