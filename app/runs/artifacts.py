"""The files that a finished run published, as rows: name, place in the storage, size and hash."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from app.core.errors import NotFound
from app.core.storage import StoredFile
from app.runs.models import Run, RunArtifact
from app.sentences import N_


def artifacts(session: Session, run_id: int) -> list[RunArtifact]:
    """Published files of a run."""
    statement = select(RunArtifact).where(RunArtifact.run_id == run_id).order_by(col(RunArtifact.name))
    return list(session.exec(statement))


def require_artifact(session: Session, run_id: int, artifact_id: int) -> RunArtifact:
    """A published file of this run, or NotFound."""
    artifact = session.get(RunArtifact, artifact_id)
    if artifact is None or artifact.run_id != run_id:
        raise NotFound(N_("There is no such file."))
    return artifact


def publish_artifacts(session: Session, run: Run, files: Iterable[StoredFile]) -> None:
    """List files of a finished run as its artifacts."""
    assert run.id is not None
    session.add_all(
        RunArtifact(
            run_id=run.id,
            name=file.name,
            storage_key=file.key,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
        )
        for file in files
    )
