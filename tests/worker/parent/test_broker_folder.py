"""The embedded broker carries bells and nothing else: workers are not spoken to through it."""

from pathlib import Path

from app.core import migrations
from app.core.database import build_engine
from app.core.settings import Settings
from tests.support.broker_folders import lose, replaced_by_a_file
from tests.support.installation import Ready
from tests.support.workers import ALL_QUEUES, running_worker, wait_until


def test_a_worker_leaves_nothing_but_its_queues_in_the_broker_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    engine = build_engine(settings.resolved_database_url)
    migrations.upgrade(engine)
    engine.dispose()
    control = settings.broker_dir / "control"
    expected = {f"{name}.exchange" for name in ALL_QUEUES.split(",")}

    def listens() -> bool:
        return control.is_dir() and expected <= {path.name for path in control.iterdir()}

    with running_worker(settings):
        wait_until(listens, timeout_seconds=240, what="the worker listens to its queues")
    # The worker was told to stop and has ended, so whatever it wanted to write is there.
    assert {path.name for path in control.iterdir()} == expected
    assert list((settings.broker_dir / "messages").iterdir()) == []


def test_a_worker_outlives_its_broker_folder_and_hears_of_the_next_job(ready: Ready) -> None:
    studio, settings = ready.studio, ready.studio.settings
    lose(settings.broker_dir)
    with running_worker(settings) as worker:
        wait_until(settings.broker_dir.is_dir, timeout_seconds=240, what="the worker listens")
        _do_one(ready, max_length=100)

        lose(settings.broker_dir)
        _do_one(ready, max_length=200)

        log = settings.data_dir / "test-worker.log"
        said_before = log.stat().st_size
        with replaced_by_a_file(settings.broker_dir):
            job = ready.ask_for_check(max_length=300)
            wait_until(
                lambda: b"folder cannot be used" in log.read_bytes()[said_before:],
                timeout_seconds=240,
                what="the reason in the log",
            )
        assert studio.wait_for(job, "succeeded", 240)["attempt"] == 1
        assert worker.poll() is None


def _do_one(ready: Ready, **settings: int) -> None:
    assert ready.studio.wait_for(ready.ask_for_check(**settings), "succeeded", 240)["attempt"] == 1
