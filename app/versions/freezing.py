"""Freezing: approved conversations become a file that never changes, named by its own hash.

They are read page by page and written outside any transaction, in bounded memory. The version is of one moment all the
same: what was read is compared, by id and version of every conversation, with what is approved when the version is
stored; where somebody changed one meanwhile, it is done again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy.orm import defer
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.filters import ConversationFilter
from app.conversations.models import Conversation
from app.conversations.revisions import snapshot_of
from app.core.errors import Conflict, Invalid
from app.core.pieces import piece
from app.core.storage import StagedFile, Storage
from app.datasets.models import Dataset, OperationKind
from app.datasets.operations import refuse_under_way
from app.datasets.service import require_writable
from app.sentences import N_
from app.versions.files import version_key, writing_sentences
from app.versions.models import COVERAGE, DatasetVersion
from app.versions.options import FreezeOptions

_PAGE: Final = 200
_ATTEMPTS: Final = 5


class Frozen(NamedTuple):
    """What freezing gave: a new version, or the one that holds exactly this already."""

    version: DatasetVersion
    is_new: bool


@dataclass
class _Written:
    """What one reading of the approved conversations gave."""

    fingerprint: str = ""
    train_count: int = 0
    validation_count: int = 0
    coverage: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COVERAGE})


def freeze(
    session: Session, storage: Storage, dataset: Dataset, actor: Actor, options: FreezeOptions | None = None
) -> Frozen:
    """Freeze what is approved now, all of it or what the options choose. The same content again gives the version that
    already has it, with the name that it has. Commits in pieces.

    Raises Invalid when nothing is approved, or for a wrong option; Conflict for an archived dataset, while many conversations are being
    reviewed, and when people never stop changing what is approved; Unavailable when the file cannot be written.
    """
    assert dataset.id is not None
    dataset_id = dataset.id
    options = (options or FreezeOptions()).checked()
    where = options.approved(dataset_id)
    for _attempt in range(_ATTEMPTS):
        with piece(session, read_only=True):
            require_writable(session, dataset_id)
            refuse_under_way(session, dataset_id, OperationKind.REVIEW)
            hashes = session.exec(where.apply(select(Conversation.content_hash))).all()
        _refuse_nothing(hashes, where)
        held_out = options.held_out(hashes)
        with writing_sentences(), storage.stage("versions") as file:
            written = _write(session, where, held_out, file)
            key = version_key(file.sha256)
            # A version is stored when its file is there, and a file that no version names is taken away again.
            file.keep(key)
        try:
            with piece(session):
                require_writable(session, dataset_id)
                refuse_under_way(session, dataset_id, OperationKind.REVIEW)
                if _fingerprint(session, where) == written.fingerprint:
                    return _keep(session, dataset_id, file.sha256, written, options, actor)
        except BaseException:
            _remove_unused(session, storage, key)
            raise
        _remove_unused(session, storage, key)
    raise Conflict(
        N_(
            "What is approved changed again and again while it was written. Freeze when fewer people are at work."
        )
    )


def _keep(
    session: Session,
    dataset_id: int,
    digest: str,
    written: _Written,
    options: FreezeOptions,
    actor: Actor,
) -> Frozen:
    of_dataset = DatasetVersion.dataset_id == dataset_id
    existing = session.exec(
        select(DatasetVersion).where(of_dataset, DatasetVersion.content_hash == digest)
    ).first()
    if existing:
        return Frozen(existing, is_new=False)
    last = session.exec(select(func.max(DatasetVersion.number)).where(of_dataset)).one()
    version = DatasetVersion(
        dataset_id=dataset_id,
        number=(last or 0) + 1,
        name=options.name,
        note=options.note,
        validation_share=options.validation_share,
        seed=options.seed,
        selection=options.selection,
        content_hash=digest,
        storage_key=version_key(digest),
        train_count=written.train_count,
        validation_count=written.validation_count,
        coverage={name: dict(counter) for name, counter in written.coverage.items()},
        **actor.who.columns(),
    )
    session.add(version)
    session.flush()
    record(session, actor, "version.freeze", f"version/{version.id}")
    return Frozen(version, is_new=True)


def _remove_unused(session: Session, storage: Storage, key: str) -> None:
    with piece(session, read_only=True):
        named = session.exec(select(DatasetVersion.id).where(DatasetVersion.storage_key == key)).first()
    if named is None:
        storage.remove(key)


def _fingerprint(session: Session, where: ConversationFilter) -> str:
    """Tells whether what is frozen is still the same, by an index alone where all of it is: every change counts a
    version up."""
    statement = where.apply(select(Conversation.id, Conversation.version)).order_by(col(Conversation.id))
    digest = hashlib.sha256()
    for number, version in session.exec(statement):
        digest.update(f"{number}:{version}\n".encode())
    return digest.hexdigest()


def _write(session: Session, where: ConversationFilter, held_out: set[str], file: StagedFile) -> _Written:
    """Every conversation as a line, in order of arrival."""
    written, digest, last = _Written(), hashlib.sha256(), 0
    while True:
        with piece(session, read_only=True):
            page = _page(session, where, after=last)
        if not page:
            written.fingerprint = digest.hexdigest()
            return written
        for row in page:
            split = "validation" if row.content_hash in held_out else "train"
            digest.update(f"{row.id}:{row.version}\n".encode())
            file.write(_line(row, split).encode() + b"\n")
            written.validation_count += split == "validation"
            written.train_count += split == "train"
            for name, counter in written.coverage.items():
                counter[str(getattr(row, name) or "")] += 1
            last = row.id or 0


def _page(session: Session, where: ConversationFilter, *, after: int) -> list[Conversation]:
    statement = (
        where.apply(select(Conversation))
        .where(col(Conversation.id) > after)
        .order_by(col(Conversation.id))
        .limit(_PAGE)
        .options(defer(col(Conversation.search_text)))  # type: ignore[arg-type]
        .execution_options(populate_existing=True)
    )
    return list(session.exec(statement))


def _refuse_nothing(hashes: Sequence[str], where: ConversationFilter) -> None:
    if hashes:
        return
    if where == ConversationFilter(where.dataset_id, review_state=where.review_state):
        raise Invalid(
            N_("Nothing is approved in this dataset. Approve at least one conversation, then freeze.")
        )
    raise Invalid(N_("Of what is approved, nothing fits this choice. Choose more, or approve some that fit."))


def _line(row: Conversation, split: str) -> str:
    data = {"id": row.id, "split": split, **snapshot_of(row)}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
