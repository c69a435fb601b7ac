"""Fixtures that every test may use: a fresh database, the app, people of each role."""

import gc
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine, create_engine, text

from app.accounts.models import Role
from app.core import migrations
from app.core.database import build_engine
from app.core.settings import Settings
from app.core.storage import Storage
from app.dialogue.limits import MIB
from app.main import create_app
from app.masking import turn_off_library_threads
from tests.support import held_connections, page_contexts
from tests.support.live import chromium, serving
from tests.support.people import Person, make_person
from tests.support.servers import running_postgres, running_redis
from tests.support.small_model import small_model_folder

# Examples take as long as they take: a busy machine is no fault.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


def pytest_configure() -> None:
    gc.disable()
    expect.set_options(
        timeout=60_000
    )  # what is to be seen on a page is waited for, however slow the machine is
    turn_off_library_threads()
    _let_children_be_interrupted()


def pytest_collection_finish() -> None:
    """What modules and collected tests consist of stays to the end: looking through it again and again is in vain."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only what drives a browser is run, files without that mark are not read: reading all, and torch with them, takes as long
    as dozens of tests."""
    alone = config.option.markexpr == "browser"
    return True if alone and collection_path not in browser_paths() else None


@cache
def browser_paths() -> frozenset[Path]:
    """Every file whose tests are marked so, and the folders above it; the mark stands in the file itself."""
    here = Path(__file__).parent
    marked = [path for path in here.rglob("test_*.py") if "mark.browser" in path.read_text("utf-8")]
    return frozenset({*marked, *(folder for path in marked for folder in path.parents)})


def _let_children_be_interrupted() -> None:
    """A shell starts its background jobs with SIGINT ignored, and children inherit that: tests that send it would
    wait in vain. Processes that a test starts get the default, which a handler becomes when a program is started.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


held_connections.install()
page_contexts.install()

# Where whoever asks for no other folder finds the installation's data. `make` names the one of this checkout, in which `make demo` and
# `make serve` find nothing of what tests have done.
_NOBODYS_DATA = Path(tempfile.gettempdir()) / f"sft-studio-nobodys-{uuid.uuid4().hex}"
os.environ["SFT_STUDIO_DATA"] = str(_NOBODYS_DATA)


@pytest.fixture(autouse=True)
def what_is_kept_is_kept_in_a_folder_of_the_test() -> Iterator[None]:
    """Fails a test that began an installation in the folder of somebody who works here."""
    yield
    assert not _NOBODYS_DATA.exists()


@pytest.fixture(autouse=True)
def nothing_is_slow_while_a_connection_is_held() -> Iterator[None]:
    """Fails a test in which a service worked for long and kept others from the database meanwhile."""
    held_connections.found.clear()
    yield
    if torch := sys.modules.get("torch"):
        # A training in this process lets the smallest numbers be zero, which is no matter of the tests after it.
        torch.set_flush_denormal(False)
    assert held_connections.found == []


@pytest.fixture(autouse=True)
def pages_are_given_what_they_read() -> Iterator[None]:
    """Fails a test in which a page was rendered without a name that one of its branches reads."""
    page_contexts.found.clear()
    yield
    assert page_contexts.found == []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a real PostgreSQL server."""
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Redis server."""
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def base_model_folder() -> Path:
    """The real small model as a plain safetensors folder."""
    return small_model_folder()


_databases = iter(range(1_000_000))


def _on_driver(url: str) -> str:
    return Settings(database_url=url).resolved_database_url


@contextmanager
def _postgres_database(server: str, template: str | None = None) -> Iterator[str]:
    """URL of a new database on this server: empty, or as the template is."""
    name = f"studio_{next(_databases)}"
    admin = create_engine(_on_driver(server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else "")))
    base, _, query = server.partition("?")
    yield base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """Name of a PostgreSQL database of the newest schema, to be copied, as `migrated_file` is."""
    with _postgres_database(postgres_server) as url:
        engine = build_engine(_on_driver(url))
        migrations.upgrade(engine)
        engine.dispose()
        name = engine.url.database
        assert name is not None
        yield name


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[str]:
    """URL of a database of its own on the real PostgreSQL server: empty, unless the test has it by `engine`."""
    template = request.getfixturevalue("migrated_postgres") if "engine" in request.fixturenames else None
    with _postgres_database(postgres_server, template) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each test that uses this runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studio.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database of the newest schema, to be copied: migrating takes longer than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "studio.db"
    engine = build_engine(f"sqlite:///{file}")
    migrations.upgrade(engine)
    engine.dispose()
    assert [other.name for other in file.parent.iterdir()] == [file.name], "all of it stands in one file"
    return file


@pytest.fixture
def engine(database_url: str, migrated_file: Path) -> Iterator[Engine]:
    """A migrated database, on SQLite and on PostgreSQL."""
    if database_url.startswith("sqlite"):
        shutil.copy(migrated_file, database_url.removeprefix("sqlite:///"))
    engine = build_engine(_on_driver(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh installation on SQLite, that takes smaller files than others do."""
    return Settings(data_dir=tmp_path / "data", model_roots=(tmp_path,), max_upload_bytes=64 * MIB)


@pytest.fixture
def app(settings: Settings, migrated_file: Path) -> Iterator[FastAPI]:
    """The web application on a fresh, migrated SQLite database."""
    app = create_app(settings)
    shutil.copy(migrated_file, app.state.engine.url.database)
    yield app
    app.state.engine.dispose()


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    """The app's files."""
    found: Storage = app.state.storage
    return found


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """The app on a real port."""
    with serving(app) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module, and no longer: while it is open, nothing else in its thread can have an event loop."""
    with chromium() as found:
        yield found


@pytest.fixture
def silent_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker is there to hear that a job waits."""
    monkeypatch.setattr("app.jobs.bell.ring", lambda *_args: None)


@pytest.fixture
def annotator(app: FastAPI) -> Person:
    """A signed-in annotator."""
    return make_person(app, Role.ANNOTATOR)


@pytest.fixture
def reviewer(app: FastAPI) -> Person:
    """A signed-in reviewer."""
    return make_person(app, Role.REVIEWER)


@pytest.fixture
def engineer(app: FastAPI) -> Person:
    """A signed-in ML engineer."""
    return make_person(app, Role.ENGINEER)


@pytest.fixture
def admin(app: FastAPI) -> Person:
    """A signed-in admin."""
    return make_person(app, Role.ADMIN)
