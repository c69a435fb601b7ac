"""What differs between two versions, by conversation: both files are read side by side, a line of each at a time."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.core.storage import Storage
from app.dialogue.conversation import FrozenConversation
from app.versions.files import damaged, missing
from app.versions.models import DatasetVersion


@dataclass(frozen=True)
class Changes:
    """Numbers of conversations. Changed: other words, flags, tools or labels; being held out or not is no change."""

    added: int
    changed: int
    removed: int


def changes_of(storage: Storage, before: DatasetVersion, after: DatasetVersion) -> Changes:
    """What came, changed and went from `before` to `after`.

    Raises Conflict when a file is gone or is not what was frozen.
    """
    old, new = (storage.path(version.storage_key) for version in (before, after))
    return _compared(old, before.content_hash, new, after.content_hash)


# Frozen content never changes, so its hashes say all: the same two are compared once.
@lru_cache(maxsize=256)
def _compared(old_path: Path, old_hash: str, new_path: Path, new_hash: str) -> Changes:
    added = changed = removed = 0
    olds, news = _contents(old_path, old_hash), _contents(new_path, new_hash)
    old, new = next(olds, None), next(news, None)
    # Files are in the order of the ids.
    while old or new:
        if old is None or (new is not None and new[0] < old[0]):
            added += 1
            new = next(news, None)
        elif new is None or old[0] < new[0]:
            removed += 1
            old = next(olds, None)
        else:
            changed += old[1] != new[1]
            old, new = next(olds, None), next(news, None)
    return Changes(added, changed, removed)


def _contents(path: Path, content_hash: str) -> Iterator[tuple[int, bytes]]:
    """Id and hash of each conversation. Raises Conflict at the end of a file that is not what was frozen."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for line in file:
                digest.update(line)
                yield _content(line)
    except OSError:
        raise missing() from None
    if digest.hexdigest() != content_hash:
        raise damaged()


def _content(line: bytes) -> tuple[int, bytes]:
    try:
        row: FrozenConversation = json.loads(line)
        said = {name: value for name, value in row.items() if name not in ("id", "split")}
        return row["id"], hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise damaged() from None
