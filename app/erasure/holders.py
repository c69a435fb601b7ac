"""Everything that holds a conversation, by name, before it is erased."""

from sqlmodel import Session, and_, col, false, or_, select

from app.accounts.models import AuditEvent
from app.conversations.models import Conversation
from app.core.database import let_go
from app.core.errors import NotFound
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.erasure.chats import chats_that_repeat
from app.erasure.schemas import Download, Holders, HoldingExport, HoldingRun, HoldingVersion, Users
from app.exports.kinds import KINDS
from app.exports.service import with_data_of
from app.mask_checks.models import MaskCheck
from app.runs.lineage import with_descendants
from app.runs.models import Run
from app.runs.service import trains_on
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.redaction import holds


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
        HoldingVersion(
            id=version.id or 0, dataset_id=version.dataset_id, dataset=dataset, number=version.number
        )
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
        conversation_id=conversation_id,
        is_stored=row is not None,
        versions=versions,
        **dict(users),
        chat_ids=chats_that_repeat(session, messages),
        twin_ids=[twin for twin in twins if twin is not None] if words else [],
    )


def users_of(session: Session, ids: list[int]) -> Users:
    """Of the versions of these ids."""
    checks = session.exec(select(MaskCheck.id).where(col(MaskCheck.dataset_version_id).in_(ids))).all()
    runs = with_descendants(session, session.exec(select(Run).where(trains_on(ids))))
    exports = with_data_of(session, ids)
    return Users(
        mask_check_ids=[check for check in checks if check is not None],
        runs=[HoldingRun(id=run.id or 0, name=run.name) for run in runs],
        exports=[HoldingExport(id=one.id or 0, run_id=one.run_id, kind=one.kind) for one, _job in exports],
        downloads=_downloads(session, ids, [run.id or 0 for run in runs]),
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
    return [Download(version=line.subject, by=line.actor, at=line.created_at.isoformat()) for line in lines]
