"""The data folder is nobody else's to read: made so, mended where it is the studio's own, refused where it is not."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.console import CommandFailed
from app.core.database import build_engine
from app.core.settings import Settings
from app.serving.preflight import check_data_folder, open_database

pytestmark = pytest.mark.usefixtures("usual_umask")


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """As a shell has it, and as it was afterwards."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_and_what_is_made_in_it_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    check_data_folder(folder)
    engine = build_engine(f"sqlite:///{folder / 'studio.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.commit()
        made = {path.name: mode(path) for path in folder.iterdir()}
    engine.dispose()
    assert mode(folder) == 0o700
    assert made == {"studio.db": 0o600, "studio.db-wal": 0o600, "studio.db-shm": 0o600}


def test_an_open_folder_of_the_studio_is_closed_with_its_files_and_this_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    (folder / "storage").mkdir(parents=True)
    (folder / "studio.db").touch()
    (folder / "notes.txt").touch()
    assert (mode(folder), mode(folder / "studio.db")) == (0o755, 0o644)
    check_data_folder(folder)
    assert [mode(folder), mode(folder / "storage"), mode(folder / "studio.db")] == [0o700, 0o700, 0o600]
    assert mode(folder / "notes.txt") == 0o644, "not the studio's"
    assert "mode 755" in capsys.readouterr().err
    (folder / "studio.db").chmod(0o644)
    check_data_folder(folder)
    assert mode(folder / "studio.db") == 0o600
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["somebody's own things", "a folder for everybody"])
def test_a_folder_that_is_not_the_studios_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "letter.txt").touch()
    if kind == "a folder for everybody":
        (folder / "studio.db").touch()
        folder.chmod(0o1777)
    before = mode(folder)
    with pytest.raises(CommandFailed, match="Set SFT_STUDIO_DATA to a folder of its own"):
        check_data_folder(folder)
    assert mode(folder) == before


def test_a_database_is_private_whoever_makes_it(tmp_path: Path) -> None:
    engine = build_engine(f"sqlite:///{tmp_path / 'studio.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    engine.dispose()
    assert mode(tmp_path / "studio.db") == 0o600


@pytest.mark.parametrize(
    "where", ["studio:hunter2@127.0.0.1:1/studio", "studio@127.0.0.1:1/studio?password=hunter2"]
)
def test_what_is_said_of_a_database_that_is_away_holds_no_password(tmp_path: Path, where: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"postgresql://{where}")
    with pytest.raises(CommandFailed, match=r"127\.0\.0\.1:1/studio cannot be used") as failure:
        open_database(settings)
    assert "hunter2" not in str(failure.value)
