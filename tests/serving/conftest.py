"""A small installation with a frozen version, a model and a run, and commands against its data folder."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.settings import Settings
from app.runs.models import RunArtifact
from tests.support.training import make_run


@pytest.fixture
def installation(app: FastAPI, settings: Settings, silent_bell: None) -> Settings:
    """Its settings; every file that a row names is there."""
    storage = app.state.storage
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, storage)
        with storage.stage("jobs/1/1") as file:
            file.write(b"adapter")
            file.keep("jobs/1/1/adapter.safetensors")
        artifact = RunArtifact(
            run_id=run.id or 0,
            name="adapter.safetensors",
            storage_key="jobs/1/1/adapter.safetensors",
            size_bytes=7,
            sha256=file.sha256,
        )
        session.add(artifact)
        # The arrays of the check, whose report knows no hash of them.
        with storage.write("jobs/1/1/arrays.safetensors") as arrays:
            arrays.write(b"arrays")
    settings.data_dir.chmod(0o700)
    for path in settings.data_dir.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return settings


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Where a backup may be written."""
    return tmp_path / "studio.tar"
