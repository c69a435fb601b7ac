"""One conversation as a version froze it: found by its id in the version's file, which is read whole only once."""

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
    path = storage.path(version.storage_key)
    try:
        now = path.stat()
    except OSError:
        raise missing() from None
    place = _places(path, version.content_hash, now.st_mtime_ns, now.st_size).get(conversation_id)
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
