"""A frozen version without one of its conversations: the one change that a version ever sees, and it says so."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.accounts.who import NAME_LENGTH
from app.core.database import utc_now
from app.core.errors import Conflict
from app.core.storage import Storage
from app.dialogue.conversation import Message
from app.sentences import N_
from app.versions.files import damaged, missing, version_key, writing_sentences
from app.versions.models import COVERAGE, DatasetVersion, Redaction


@dataclass(frozen=True)
class Rewritten:
    """The file without the conversation, in its place already; the row does not name it yet."""

    old_hash: str
    content_hash: str
    train_count: int
    validation_count: int
    coverage: dict[str, dict[str, int]]


def holds(storage: Storage, version: DatasetVersion, conversation_id: int) -> bool:
    """Whether the version's file has a line of this conversation. A file that is gone has none."""
    start = b'{"id":%d,' % conversation_id
    try:
        with storage.path(version.storage_key).open("rb") as file:
            return any(line.startswith(start) for line in file)
    except OSError:
        return False


def messages_in(storage: Storage, version: DatasetVersion) -> Iterator[Message]:
    """Of every conversation that the version's file has; of a file that is gone or damaged, what can be read."""
    with suppress(OSError, ValueError), storage.path(version.storage_key).open("rb") as file:
        for line in file:
            yield from json.loads(line)["messages"]


def rewrite(storage: Storage, version: DatasetVersion, conversation_id: int | None) -> Rewritten:
    """Write the version's file anew without the conversation, or without any for None, in bounded memory.

    Raises Conflict for a file that is gone or is not what was frozen, Unavailable when the disk takes none.
    """
    start = b"" if conversation_id is None else b'{"id":%d,' % conversation_id
    digest, counts = hashlib.sha256(), Counter[str]()
    coverage: dict[str, Counter[str]] = {name: Counter() for name in COVERAGE}
    with writing_sentences(), storage.stage("versions") as staged:
        try:
            source = storage.path(version.storage_key).open("rb")
        except OSError:
            raise missing() from None
        with source:
            for line in source:
                digest.update(line)
                if line.startswith(start):
                    continue
                staged.write(line)
                found: dict[str, Any] = json.loads(line)
                counts[found["split"]] += 1
                for name, counter in coverage.items():
                    counter[str(found.get(name) or "")] += 1
        if digest.hexdigest() != version.content_hash:
            raise damaged()
        staged.keep(version_key(staged.sha256))
    return Rewritten(
        version.content_hash,
        staged.sha256,
        counts["train"],
        counts["validation"],
        {name: dict(counter) for name, counter in coverage.items()},
    )


def redact(session: Session, version_id: int, rewritten: Rewritten, actor: Actor) -> str | None:
    """Make the row name the rewritten file. The key of the file that nothing names any more, if there is one.

    Raises Conflict where somebody redacted it meanwhile.
    """
    version = session.exec(
        select(DatasetVersion)
        .where(DatasetVersion.id == version_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if version.content_hash != rewritten.old_hash:
        raise Conflict(
            N_("Version %(number)d is being redacted by somebody else. Try again."), number=version.number
        )
    old_key = version.storage_key
    version.content_hash = rewritten.content_hash
    version.storage_key = version_key(rewritten.content_hash)
    version.train_count, version.validation_count = rewritten.train_count, rewritten.validation_count
    version.coverage = rewritten.coverage
    told = Redaction(
        at=utc_now().isoformat(),
        by=actor.who.name[:NAME_LENGTH],
        by_user_id=actor.who.user_id,
        by_token_id=actor.who.token_id,
        old_hash=rewritten.old_hash,
    )
    version.redactions = [*version.redactions, told]
    session.add(version)
    session.flush()
    record(session, actor, "version.redact", f"version/{version_id}")
    others = select(DatasetVersion.id).where(col(DatasetVersion.storage_key) == old_key)
    return old_key if session.exec(others).first() is None else None
