"""Whole jobs through a real Celery worker process: on PostgreSQL and Redis, and on the embedded default."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.core.settings import Settings
from app.mask_checks.work import CheckInput
from app.mask_settings.fields import MaskSettingsIn
from tests.support.installation import Studio, installed, prepare
from tests.support.workers import running_worker, wait_until

SAMPLES = Path(__file__).parents[2] / "app" / "samples"


@pytest.fixture
def embedded(tmp_path: Path, small_model: Path) -> Iterator[Studio]:
    settings = Settings(
        data_dir=tmp_path / "data", model_roots=(small_model,), lease_seconds=4, reconcile_seconds=1
    )
    with installed(settings) as studio:
        yield studio


@pytest.fixture
def served(tmp_path: Path, small_model: Path, postgres_url: str, redis_url: str) -> Iterator[Studio]:
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=postgres_url,
        redis_url=redis_url,
        model_roots=(small_model,),
    )
    with installed(settings) as studio:
        yield studio


@pytest.mark.model
@pytest.mark.servers
@pytest.mark.timeout(600)
def test_a_run_goes_from_import_to_adapter_on_postgresql_and_redis(served: Studio, small_model: Path) -> None:
    with running_worker(served.settings):
        model = prepare(served, small_model)
        run = served.start_run(served.version(12), model, max_steps=2, logging_steps=1)
        job = served.wait_for(run["job"], "succeeded", 240)
    events = served.events(job["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    losses = [event["loss"] for event in events if event["kind"] == "metric"]
    assert len(losses) == 2
    # A guess among all tokens costs log(49152) = 10.8.
    assert all(0 < loss < 12 for loss in losses)
    finished = served.ok(served.api.get(f"/api/v1/runs/{run['id']}"))
    assert finished["result"]["steps"] == 2
    names = {item["name"] for item in served.ok(served.api.get(f"/api/v1/runs/{run['id']}/artifacts"))}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names


@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_killed_worker_loses_nothing_and_the_run_goes_on_from_its_checkpoint(
    embedded: Studio, small_model: Path
) -> None:
    with running_worker(embedded.settings) as first:
        model = prepare(embedded, small_model)
        run = embedded.start_run(
            embedded.version(12), model, max_steps=200, logging_steps=1, save_steps=20, save_total_limit=2
        )
        job_id = run["job"]["id"]
        wait_until(
            lambda: any(event["kind"] == "checkpoint" for event in embedded.events(job_id)),
            timeout_seconds=240,
            what="the first checkpoint",
        )
        children = psutil.Process(first.pid).children(recursive=True)
        assert children
        os.kill(first.pid, signal.SIGKILL)
    wait_until(
        lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children),
        timeout_seconds=20,
        what="the end of the orphaned training process",
    )
    with running_worker(embedded.settings):
        job = embedded.wait_for(run["job"], "succeeded", 240)
    assert job["attempt"] == 2
    events = embedded.events(job_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert any("Resuming from the checkpoint" in event.get("message", "") for event in events)
    finished = embedded.ok(embedded.api.get(f"/api/v1/runs/{run['id']}"))
    assert finished["result"]["steps"] == 200


@pytest.mark.timeout(120)
def test_a_lost_bell_only_delays_a_job(embedded: Studio, small_model: Path) -> None:
    body = {"source": "local", "reference": str(small_model / "nowhere"), "name": "missing"}
    assert embedded.api.post("/api/v1/base-models", json=body).status_code == 422
    body["reference"] = str(small_model)
    model = embedded.ok(embedded.api.post("/api/v1/base-models", json=body))
    for message in (embedded.settings.broker_dir / "messages").iterdir():
        message.unlink()
    with running_worker(embedded.settings):
        embedded.wait_for(model["job"], "succeeded", 90)


@pytest.mark.model
@pytest.mark.timeout(600)
def test_cancelling_ends_a_run_without_an_adapter(embedded: Studio, small_model: Path) -> None:
    with running_worker(embedded.settings):
        model = prepare(embedded, small_model)
        run = embedded.start_run(embedded.version(12), model, max_steps=5000, logging_steps=1)
        job_id = run["job"]["id"]
        wait_until(
            lambda: any(event["kind"] == "metric" for event in embedded.events(job_id)),
            timeout_seconds=240,
            what="the first step",
        )
        embedded.ok(embedded.api.post(f"/api/v1/runs/{run['id']}/stop"))
        embedded.wait_for(run["job"], "cancelled", 60)
    assert embedded.ok(embedded.api.get(f"/api/v1/runs/{run['id']}/artifacts")) == []


def test_a_version_file_that_was_touched_is_refused(tmp_path: Path) -> None:
    from worker.work.mask_check import run as check_masks
    from worker.work.protocol import Control, JobFailed

    file = tmp_path / "version.jsonl"
    file.write_text(json.dumps({"id": 1, "split": "train", "messages": []}), encoding="utf-8")
    job = CheckInput(
        version_file=str(file),
        content_hash="0" * 64,
        base_model="",
        base_model_path="",
        settings=MaskSettingsIn(),
    )
    with pytest.raises(JobFailed, match="damaged"):
        check_masks(job, tmp_path, lambda *_args, **_fields: None, Control())
