"""Whole jobs through a real Celery worker process, on the embedded default: killed, unheard, cancelled."""

import json
import os
import signal
from pathlib import Path

import pytest

from app.mask_checks.work import CheckInput
from app.mask_settings.fields import MaskSettingsIn
from tests.support.installation import UNTIL_STOPPED, Ready
from tests.support.processes import all_gone, family_of
from tests.support.workers import running_worker, wait_until
from worker.work.mask_check import run as check_masks
from worker.work.protocol import Control, JobFailed


@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_killed_worker_loses_nothing_and_the_run_goes_on_from_its_checkpoint(ready: Ready) -> None:
    studio, settings = ready.studio, ready.studio.settings
    with running_worker(settings) as first:
        run = ready.start_run(
            **UNTIL_STOPPED,
            per_device_train_batch_size=2,
            logging_steps=1,
            save_steps=20,
            save_total_limit=2,
        )
        job_id = run["job"]["id"]
        studio.wait_for_event(job_id, "checkpoint")
        children = family_of(first.pid)[1:]
        assert children
        os.kill(first.pid, signal.SIGKILL)
    wait_until(
        lambda: all_gone(children),
        timeout_seconds=240,
        what="the end of the orphaned training process",
    )
    studio.end_lease(job_id)
    with running_worker(settings):
        wait_until(
            lambda: any("Resuming from" in event.get("message", "") for event in studio.events(job_id)),
            timeout_seconds=240,
            what="the second attempt",
        )
        # Beside what the first one had written down and nobody had heard.
        studio.wait_for_step(job_id, after=max(studio.steps_told(job_id)))
        job = studio.keep(run)
    assert job["attempt"] == 2
    events = studio.events(job_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert any("Resuming from the checkpoint" in event.get("message", "") for event in events)
    assert set(range(1, studio.steps_of(run) + 1)) <= set(studio.steps_told(job_id))


def test_a_lost_bell_only_delays_a_job(ready: Ready) -> None:
    job = ready.ask_for_check(max_length=50)
    assert ready.studio.job(job["id"])["state"] == "queued"
    for message in (ready.studio.settings.broker_dir / "messages").iterdir():
        message.unlink()
    with running_worker(ready.studio.settings):
        ready.studio.wait_for(job, "succeeded", 240)


@pytest.mark.model
@pytest.mark.timeout(600)
def test_cancelling_ends_a_run_without_an_adapter(ready: Ready) -> None:
    studio = ready.studio
    with running_worker(studio.settings):
        run = ready.start_run(**UNTIL_STOPPED, logging_steps=1)
        studio.wait_for_step(run["job"]["id"])
        studio.ok(studio.api.post(f"/api/v1/runs/{run['id']}/stop"))
        studio.wait_for(run["job"], "cancelled", 240)
    assert studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}/artifacts")) == []


def test_a_version_file_that_was_touched_is_refused(tmp_path: Path) -> None:
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
