"""Conversations as a version froze them: found by their ids in the version's file, which is read whole only once."""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from app.core.errors import NotFound
from app.core.storage import Storage
from app.dialogue.conversation import FrozenConversation
from app.sentences import N_
from app.versions.files import damaged, missing
from app.versions.models import DatasetVersion

# How `versions.freeze` begins each line.
_BEGINNING: Final = re.compile(rb'\{"id":(\d+),')


def frozen_conversation(
    storage: Storage, version: DatasetVersion, conversation_id: int
) -> FrozenConversation:
    """The frozen line: id, split, messages, tools and labels, whatever has become of the conversation since.

    Raises NotFound when it is not part of the version, Conflict when the file is not what was frozen.
    """
    path, places = _places_of(storage, version)
    place = places.get(conversation_id)
    if place is None:
        raise NotFound(
            N_("Version %(number)d does not contain the conversation %(id)d."),
            number=version.number,
            id=conversation_id,
        )
    with path.open("rb") as file:
        file.seek(place)
        found: FrozenConversation = json.loads(file.readline())
    return found


def frozen_page(
    storage: Storage, version: DatasetVersion, offset: int, limit: int
) -> list[FrozenConversation]:
    """Some of the version's conversations, in the order of its file. Raises Conflict when that is not what was frozen."""
    path, places = _places_of(storage, version)
    starts = list(places.values())[offset : offset + limit]
    with path.open("rb") as file:
        file.seek(starts[0] if starts else 0)
        return [json.loads(file.readline()) for _start in starts]


def frozen_ids(storage: Storage, version: DatasetVersion) -> frozenset[int]:
    """The ids of the version's conversations. Raises Conflict when its file is not what was frozen."""
    return frozenset(_places_of(storage, version)[1])


def _places_of(storage: Storage, version: DatasetVersion) -> tuple[Path, dict[int, int]]:
    path = storage.path(version.storage_key)
    try:
        now = path.stat()
    except OSError:
        raise missing() from None
    return path, _places(path, version.content_hash, now.st_mtime_ns, now.st_size)


# The same file with the same time and size is read once.
@lru_cache(maxsize=4)
def _places(path: Path, content_hash: str, _modified: int, _size: int) -> dict[int, int]:
    """Where each conversation's line begins."""
    found: dict[int, int] = {}
    digest = hashlib.sha256()
    place = 0
    try:
        with path.open("rb") as file:
            for line in file:
                digest.update(line)
                if beginning := _BEGINNING.match(line):
                    found[int(beginning[1])] = place
                place += len(line)
    except OSError:
        raise missing() from None
    if digest.hexdigest() != content_hash:
        raise damaged()
    return found
