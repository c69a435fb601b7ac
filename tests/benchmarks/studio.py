"""A throw-away studio for benchmarks: its database, its pages, and conversations in it."""

import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from app.accounts.models import Role
from app.accounts.service import Actor
from app.core import migrations
from app.core.database import transaction
from app.core.settings import Settings
from app.datasets.service import create_dataset
from app.imports.incoming import IncomingFile
from app.imports.service import import_file
from app.main import create_app
from tests.benchmarks.dialogues import many_dialogues

ACTOR = Actor(1, "benchmark", Role.ENGINEER, "session")


@dataclass(frozen=True)
class Studio:
    """One with an empty SQLite database."""

    app: FastAPI

    def bring_in(self, name: str, file: bytes) -> int:
        """Import a JSONL file into a dataset of this name, as one request does; returns the dataset's id."""
        with transaction(self.app.state.engine) as session:
            dataset = create_dataset(session, ACTOR, name=name)
        assert dataset.id is not None
        with (
            IncomingFile(io.BytesIO(file), filename="benchmark.jsonl") as incoming,
            transaction(self.app.state.engine) as session,
        ):
            found = import_file(session, dataset.id, ACTOR, incoming)
        if found.problem_count or not found.accepted:
            raise RuntimeError(f"the benchmark's own file has problems: {found.problems[:1]}")
        return dataset.id


@contextmanager
def empty_studio() -> Iterator[Studio]:
    """Migrated, on SQLite, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sft-studio-bench-") as folder:
        app = create_app(Settings(data_dir=Path(folder) / "data"))
        migrations.upgrade(app.state.engine)
        try:
            yield Studio(app)
        finally:
            app.state.engine.dispose()


def jsonl(count: int) -> bytes:
    """So many different dialogues as a JSONL file."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in many_dialogues(count)).encode()
