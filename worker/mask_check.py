"""Child side of a mask check: masks a frozen version, writes the arrays that training will read. No torch."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.i18n import N_
from worker.protocol import JobFailed


def read_frozen(path: Path, content_hash: str) -> Iterator[dict[str, Any]]:
    """Conversations of a frozen file. Raises JobFailed when the file is not what was frozen."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != content_hash:
            raise JobFailed(
                N_("The frozen version's file is damaged: its hash differs. Freeze the dataset again.")
            )
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
