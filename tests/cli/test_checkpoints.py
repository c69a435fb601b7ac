"""What the command line says of a run's checkpoints."""

import shutil

import pytest
from fastapi import FastAPI

from app.core.storage import Storage
from tests.cli.conftest import LiveServer
from tests.runs.test_checkpoints import told
from tests.runs.under_way import runs

pytestmark = pytest.mark.usefixtures("silent_bell")


def test_the_best_one_that_is_kept_is_marked_and_not_taken_for_the_best_of_the_run(
    app: FastAPI, live: LiveServer, storage: Storage
) -> None:
    run_id = told(app, storage)
    command = ("checkpoints", "--run", str(run_id))
    best = live.run(*command)
    assert ("1.5000 *" in best.stdout, "of which no checkpoint is kept" in best.stderr) == (True, False)
    job_id = next(run.job_id for run in runs(app) if run.id == run_id)
    shutil.rmtree(storage.folder(f"jobs/{job_id}/1/checkpoints/checkpoint-20"))
    behind = live.run(*command)
    assert ("2.0000 *" in behind.stdout, "1.5000 *" in behind.stdout) == (True, False)
    assert "* the lowest of the checkpoints that are kept" in behind.stderr
    assert "1.5000, was measured after step 20" in behind.stderr
    removed = live.run(*command, "--remove")
    assert ("*" in removed.stdout, "of which no checkpoint is kept" in removed.stderr) == (False, False)
