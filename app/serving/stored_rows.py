"""Every file that a row of the database names, with the hash it was stored with."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from app.core.database import reading
from app.exports.models import RunExport, RunExportFile
from app.mask_checks.models import MaskCheck
from app.runs.models import RunArtifact
from app.versions.models import DatasetVersion


@dataclass(frozen=True)
class NamedFile:
    """A key below the stored files, whose it is, and its sha256 in hex where the row has it."""

    key: str
    owner: str
    sha256: str | None


def named_files(engine: Engine) -> list[NamedFile]:
    """Of dataset versions, mask checks, runs and their exports."""
    with reading(engine) as session:
        return list(_named(session))


def _named(session: Session) -> Iterator[NamedFile]:
    for version in session.exec(select(DatasetVersion).order_by(col(DatasetVersion.id))):
        yield NamedFile(version.storage_key, f"version/{version.id}", version.content_hash)
    for check in session.exec(select(MaskCheck).where(col(MaskCheck.arrays_key).is_not(None))):
        whole = check.report.file_hash if check.report else None
        yield NamedFile(check.arrays_key or "", f"mask_check/{check.id}", whole)
    for artifact in session.exec(select(RunArtifact).order_by(col(RunArtifact.id))):
        yield NamedFile(artifact.storage_key, f"run/{artifact.run_id}", artifact.sha256)
    exported = select(RunExportFile, RunExport.run_id).join(RunExport).order_by(col(RunExportFile.id))
    for file, run_id in session.exec(exported):
        yield NamedFile(file.storage_key, f"run/{run_id}", file.sha256)


def snapshot(engine: Engine, target: Path) -> None:
    """A whole copy of the SQLite database as of one moment, while others go on writing."""
    raw = engine.raw_connection()
    try:
        source = raw.driver_connection
        assert isinstance(source, sqlite3.Connection)
        copy = sqlite3.connect(target)
        try:
            source.backup(copy, pages=4096)
            # One file, whatever opens it next.
            copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()
    finally:
        raw.close()


def trouble_in(database: Path) -> str:
    """What SQLite's own checks find wrong in a database file; empty when nothing is."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        # So damaged that the checks themselves cannot go on.
        return str(error)
    if found != ["ok"]:
        return "; ".join(found)
    return f"{broken[0]} refers to what is not there" if broken is not None else ""
