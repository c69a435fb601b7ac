"""The embedded broker carries bells and nothing else: workers are not spoken to through it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from app.core import migrations
from app.core.database import build_engine
from app.core.settings import Settings
from tests.support.installation import Studio, installed, prepare
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


@pytest.mark.parametrize("how", ["deleted", "replaced by a file"])
def test_a_worker_outlives_its_broker_folder_and_hears_of_the_next_job(
    tmp_path: Path, small_model: Path, how: str
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", model_roots=(small_model,), reconcile_seconds=1, lease_seconds=30
    )
    with installed(settings) as studio, running_worker(settings) as worker:
        wait_until(lambda: settings.broker_dir.is_dir(), timeout_seconds=60, what="the worker listens")
        prepare(studio, small_model)
        shutil.rmtree(settings.broker_dir)
        if how == "replaced by a file":
            settings.broker_dir.write_text("not a folder")
        job = studio.ok(studio.api.post("/api/v1/mask-checks", json=_question(studio)))["job"]
        if how == "replaced by a file":
            log = settings.data_dir / "test-worker.log"
            wait_until(
                lambda: "folder cannot be used" in log.read_text(),
                timeout_seconds=30,
                what="the reason in the log",
            )
            settings.broker_dir.unlink()
        done = studio.wait_for(job, "succeeded", 60)
        assert done["attempt"] == 1
        assert worker.poll() is None


def _question(studio: Studio) -> dict[str, Any]:
    return {
        "dataset_version_id": studio.version(2)["id"],
        "base_model_id": 1,
        "settings": {"max_length": 512},
    }
