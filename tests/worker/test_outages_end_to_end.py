"""A run while the database is busy or away: it goes on, or is rescued once, and tells everything once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.core.database import transaction
from app.core.settings import Settings
from tests.support.installation import InThisProcess, Studio, installed, prepare
from tests.support.servers import stoppable_postgres
from tests.support.workers import running_worker, wait_until

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]
# A step takes some hundredths of a second: there are enough for what happens meanwhile to happen meanwhile.
STEPS = 200


def run_through(studio: Studio, model_folder: Path, meanwhile: Callable[[], None]) -> dict[str, Any]:
    """A short run with a worker, and what happens `meanwhile`, after its first step; the job once it succeeded."""
    with running_worker(studio.settings):
        model = prepare(studio, model_folder)
        run = studio.start_run(
            studio.version(12), model, max_steps=STEPS, logging_steps=1, save_steps=20, save_total_limit=2
        )
        job_id = run["job"]["id"]
        wait_until(
            lambda: bool(steps_told(studio, job_id)), timeout_seconds=240, what="the first step of the run"
        )
        meanwhile()
        job = studio.wait_for(run["job"], "succeeded", 240)
    events = studio.events(job_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["state"] for event in events if event["kind"] == "state"].count("succeeded") == 1
    return job


def steps_told(studio: Studio, job_id: int) -> list[int]:
    """The steps whose loss was told, in order."""
    return [event["step"] for event in studio.events(job_id) if event["kind"] == "metric"]


def keep_busy(studio: InThisProcess, seconds: float) -> Callable[[], None]:
    """Somebody who holds SQLite's one place for a writer."""

    def hold() -> None:
        with transaction(studio.app.state.engine) as session:
            session.execute(text("SELECT 1"))
            time.sleep(seconds)

    return hold


def _embedded(tmp_path: Path, model_folder: Path, lease_seconds: float) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        model_roots=(model_folder,),
        worker_wait_seconds=1,
        lease_seconds=lease_seconds,
        reconcile_seconds=1,
    )


def test_a_run_goes_on_when_others_write_for_longer_than_the_worker_waits(
    tmp_path: Path, small_model: Path
) -> None:
    with installed(_embedded(tmp_path, small_model, lease_seconds=30)) as studio:
        job = run_through(studio, small_model, keep_busy(studio, 4))
        assert job["attempt"] == 1
        assert steps_told(studio, job["id"]) == list(range(1, STEPS + 1))
    log = (tmp_path / "data" / "test-worker.log").read_text()
    assert "the database is out of reach" in log
    assert "SELECT" not in log
    assert "sqlalche.me" not in log


def test_a_run_whose_lease_ran_out_meanwhile_is_rescued_once(tmp_path: Path, small_model: Path) -> None:
    with installed(_embedded(tmp_path, small_model, lease_seconds=3)) as studio:
        job = run_through(studio, small_model, keep_busy(studio, 6))
        assert job["attempt"] == 2
        assert steps_told(studio, job["id"])[-1] == STEPS
        rescues = [event for event in studio.events(job["id"]) if event.get("rescued")]
        assert [event["state"] for event in rescues] == ["queued"]


@pytest.mark.servers
def test_a_run_goes_on_when_postgresql_is_stopped_and_comes_back(
    tmp_path: Path, small_model: Path, redis_url: str
) -> None:
    with stoppable_postgres(tmp_path / "postgres") as postgres:
        settings = Settings(
            data_dir=tmp_path / "data",
            database_url=postgres.url,
            redis_url=redis_url,
            model_roots=(small_model,),
        )

        def away() -> None:
            postgres.stop()
            time.sleep(4)
            postgres.start()

        with installed(settings) as studio:
            job = run_through(studio, small_model, away)
            assert job["attempt"] == 1
            assert steps_told(studio, job["id"]) == list(range(1, STEPS + 1))
