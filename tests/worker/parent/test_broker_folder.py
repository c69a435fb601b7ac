"""The embedded broker carries bells and nothing else: workers are not spoken to through it."""

from pathlib import Path

from app.core import migrations
from app.core.database import build_engine
from app.core.settings import Settings
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
        wait_until(listens, timeout_seconds=60, what="the worker listens to its queues")
    # The worker was told to stop and has ended, so whatever it wanted to write is there.
    assert {path.name for path in control.iterdir()} == expected
    assert list((settings.broker_dir / "messages").iterdir()) == []
