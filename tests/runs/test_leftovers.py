"""What stays of a run's working files: the checkpoints that its config keeps, and nothing half written."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobKind, JobState
from app.recipes.config import TrainingConfig
from app.runs.leftovers import clear_all_leftovers, clear_leftovers
from app.sentences import Failure, FailureCode
from tests.support.training import ENGINEER


def leave(job: Path) -> None:
    """What two attempts leave, the first of which was killed while it wrote a checkpoint, the second an adapter."""
    for name in (
        "1/checkpoints/checkpoint-9/manifest.json",
        "1/checkpoints/checkpoint-10/manifest.json",
        "1/checkpoints/.partial-checkpoint-12/half",
        "1/log.txt",
        "2/checkpoints/checkpoint-100/manifest.json",
        "2/backend/files/output/checkpoint-8/adapter_model.safetensors",
        "2/adapter/adapter_config.json",
        "2/.partial-adapter/half",
    ):
        path = job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def left(job: Path) -> list[str]:
    return sorted(str(path.relative_to(job)) for path in job.rglob("*") if path.is_file())


KEPT = ["1/log.txt", "2/adapter/adapter_config.json"]


def told(job: Path, choice: str, best: int) -> None:
    """What the job was told to keep, and that one of its checkpoints was measured."""
    config = TrainingConfig(keep_checkpoints=choice).to_json()  # type: ignore[arg-type]
    for attempt in ("1", "2"):
        (job / attempt / "job.json").write_text(json.dumps({"input": {"config": config}}))
    state = {"last_evaluation": [best, 0.5]}
    (job / f"1/checkpoints/checkpoint-{best}/training_state.json").write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("choice", "steps"),
    [("none", []), ("best_and_last", ["1/9", "2/100"]), ("all", ["1/10", "1/9", "2/100"])],
)
def test_the_checkpoints_that_the_config_keeps_stay_however_the_run_ended(
    tmp_path: Path, choice: str, steps: list[str]
) -> None:
    leave(tmp_path)
    told(tmp_path, choice, best=9)
    clear_leftovers(tmp_path)
    found = sorted(path.parent for path in tmp_path.glob("*/checkpoints/*/manifest.json"))
    assert [f"{path.parts[-3]}/{path.name.removeprefix('checkpoint-')}" for path in found] == steps
    rest = {name for name in left(tmp_path) if "checkpoints" not in name and "job.json" not in name}
    assert rest == set(KEPT)
    assert (tmp_path / "1" / "checkpoints").is_dir() == any(step.startswith("1/") for step in steps)


def test_a_worker_clears_up_after_runs_that_ended_without_one(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "storage")
    with transaction(engine) as session:
        ended = jobs.enqueue(session, JobKind.TRAIN, created_by=ENGINEER.who)
        going_on = jobs.enqueue(session, JobKind.TRAIN, created_by=ENGINEER.who)
        claim = jobs.claim(session, ended.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.FAILED, failure=Failure.of(FailureCode.KILLED, "Killed."))
        folders = [storage.root / "jobs" / str(job.id) for job in (ended, going_on)]
    for folder in folders:
        leave(folder)
    clear_all_leftovers(engine, storage)
    assert len(left(folders[0])) == len(KEPT) + 1
    assert len(left(folders[1])) == 8
