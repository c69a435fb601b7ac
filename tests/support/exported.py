"""Exports of a run, made without a worker's processes: the handler and the child's own function, in this one."""

import json
from pathlib import Path

from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.exports.card import PROVENANCE
from app.exports.handler import ExportRun
from app.exports.service import require_export
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.runs.result import RunResult
from app.runs.service import require_run
from tests.support.judged import finished_run
from tests.support.training import run_result
from worker.work.exporting import work
from worker.work.protocol import Control

ADAPTER_FILES = {
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": bytes(range(256)) * 16,
    "additional_chat_templates/tools.jinja": b"{{ messages }}",
    "README.md": b"# As it was when training ended\n",
}


def run_with_adapter(app: FastAPI) -> int:
    """A finished run whose adapter's files are there, and whose provenance knows another hash than the version has now."""
    storage: Storage = app.state.storage
    with transaction(app.state.engine) as session:
        run = finished_run(session, storage)
        run.result = RunResult.stored(run_result())
        session.add(run)
        run_id, key = run.id or 0, run.adapter_key or ""
    for name, content in ADAPTER_FILES.items():
        with storage.write(f"{key}/{name}") as file:
            file.write(content)
    return run_id


def keep_provenance(app: FastAPI, run_id: int, **facts: object) -> None:
    """What the trainer wrote beside the adapter."""
    storage: Storage = app.state.storage
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        folder = storage.path(run.adapter_key or "")
    told = {
        "run": "Calls",
        "dataset": "Calls",
        "version": 1,
        "version_hash": "c" * 64,
        "conversations": 11,
        "held_out": 1,
        "arrays_hash": "a" * 64,
        "recipe": "standard",
        "base_model": "org/chat",
        "base_licence": "apache-2.0",
        **facts,
    }
    (folder / PROVENANCE).write_text(json.dumps({"provenance": told}))


def do_export(app: FastAPI, export_id: int, *, then: JobState = JobState.SUCCEEDED) -> Path:
    """Do the export's job as a worker does; the folder of its files. `then` is how it ends."""
    engine, storage, handler = app.state.engine, app.state.storage, ExportRun()
    with transaction(engine) as session:
        export = require_export(session, export_id)
        claim = jobs.claim(session, export.job_id, owner="test", lease_seconds=30)
        assert claim is not None
        place = Workplace(app.state.settings, storage, f"jobs/{claim.job_id}/{claim.attempt}")
        told = handler.child_input(session, place, claim)
    storage.folder(place.output_key)
    (place.output_dir / "log.txt").write_text("done")
    result = work.run(told, place.output_dir, lambda _kind, **_payload: None, Control())
    files = handler.look_at_files(place, result)
    with transaction(engine) as session:
        if then is JobState.SUCCEEDED:
            jobs.finish(session, claim, then, result=result.to_json())
            handler.publish(session, place, claim, result, files)
        else:
            jobs.finish(session, claim, then)
    handler.clear_up(place, then)
    return place.output_dir / result.folder
