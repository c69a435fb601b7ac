"""What may start and what must not, exactly once, on SQLite and on PostgreSQL."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.accounts.models import AuditEvent
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid, NotFound
from app.core.settings import Settings
from app.core.storage import Storage
from app.interop.handing import TOOL_VERSIONS
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import Job, JobKind, JobState
from app.mask_checks import service as mask_checks
from app.mask_checks.models import MaskCheck
from app.masking import MaskSettings
from app.runs import service
from app.runs.artifacts import artifacts, require_artifact
from app.runs.handler import Train
from app.runs.models import Run
from app.runs.new_run import NewRunForm
from app.runs.once import KeyTaken
from app.runs.result import RunResult, TrainingPlan
from app.sentences import Failure, FailureCode
from tests.support.training import (
    ARRAYS_HASH,
    ENGINEER,
    SUITES,
    ask_for_check,
    make_check,
    make_model,
    make_queued_check,
    make_run,
    make_version,
    report,
    run_result,
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Files of one test."""
    return Storage(tmp_path / "storage")


def start(session: Session, check: MaskCheck, **request: Any) -> tuple[Run, bool]:
    return service.start_run(
        session, ENGINEER, service.RunRequest(check.id or 0, **{"confirmed": True, **request}), suites=SUITES
    )


def test_a_green_confirmed_check_starts_a_run_with_the_whole_config(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        run, created = start(session, make_check(session, storage), changes={"lora_r": "8"})
        assert created
        assert run.config.lora_r == 8
        assert run.config.lora_alpha == 128
        assert (run.confirmed_by, run.override_reason, run.arrays_hash) == ("Mei", None, ARRAYS_HASH)
        job = jobs.require_job(session, run.job_id)
        assert (job.kind, job.state, job.payload) == (JobKind.TRAIN, JobState.QUEUED, {"run_id": run.id})


def test_the_same_key_again_gives_the_first_run(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        check = make_check(session, storage)
        first, created = start(session, check, idempotency_key="k")
        again, created_again = start(session, check, idempotency_key="k", accepted_warnings=("epochs",))
        assert (created, created_again) == (True, False)
        assert first.id == again.id
        with pytest.raises(KeyTaken, match=f"Run {first.id} was started with this idempotency key"):
            start(session, check, idempotency_key="k", recipe="quick")


def test_a_double_click_at_the_same_moment_starts_one_run(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        check = make_check(session, storage)
    found: list[tuple[int | None, bool]] = []
    barrier = threading.Barrier(4)

    def click() -> None:
        barrier.wait(60)
        with transaction(engine) as session:
            run, created = start(session, check, idempotency_key="k")
            found.append((run.id, created))

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len({run_id for run_id, _created in found}) == 1
    assert [created for _run, created in found].count(True) == 1
    assert len(found) == 4
    with reading(engine) as session:
        assert len(session.exec(select(Job).where(Job.kind == JobKind.TRAIN)).all()) == 1


def test_a_red_check_needs_a_reason_which_stays_on_the_run(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        check = make_check(session, storage, green=False)
        with pytest.raises(Conflict, match="is red") as raised:
            start(session, check, override_reason="   ")
        assert raised.value.field == "override_reason"
        run, _created = start(session, check, override_reason=" Demo tonight. ")
        assert run.override_reason == "Demo tonight."
        actions = [entry.action for entry in session.exec(select(AuditEvent))]
        assert "run.override" in actions


@pytest.mark.parametrize(
    ("request_fields", "error", "field"),
    [
        ({"confirmed": False}, Invalid, "confirmed"),
        ({"changes": {"lora_r": 0}}, Invalid, "lora_r"),
        ({"changes": {"trust_remote_code": True}}, Invalid, "trust_remote_code"),
        ({"recipe": "fast"}, Invalid, "recipe"),
        ({"evaluate_with": ("unknown",)}, Invalid, "evaluate_with"),
    ],
)
def test_a_refused_start_leaves_nothing_behind(
    engine: Engine, storage: Storage, request_fields: dict[str, Any], error: type[Exception], field: str
) -> None:
    with transaction(engine) as session:
        check = make_check(session, storage)
        with pytest.raises(error) as raised:
            start(session, check, **request_fields)
        assert raised.value.field == field  # type: ignore[attr-defined]
    with reading(engine) as session:
        assert session.exec(select(Run)).all() == []
        assert session.exec(select(Job).where(Job.kind == JobKind.TRAIN)).all() == []


def test_an_unfinished_or_failed_check_starts_nothing(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        check, job = make_queued_check(session, storage)
        with pytest.raises(Conflict, match="still running"):
            start(session, check)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(
            session,
            claim,
            JobState.FAILED,
            failure=Failure.of(FailureCode.UNEXPECTED, "No %(what)s.", what="template"),
        )
        with pytest.raises(Conflict, match="could not be done: No template"):
            start(session, check)


def test_without_held_out_conversations_nothing_stops_a_run_early(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        check = make_check(session, storage, conversations=3)
        run, _created = start(session, check, accepted_warnings=("held_out",))
        assert run.config.early_stopping_patience == 0
        with pytest.raises(Invalid) as raised:
            start(session, check, changes={"early_stopping_patience": 3})
        assert raised.value.field == "early_stopping_patience"


def test_the_same_question_finds_the_same_check_and_a_failed_one_is_asked_again(
    engine: Engine, storage: Storage
) -> None:
    with transaction(engine) as session:
        version, model = make_version(session, storage), make_model(session)

        def ask(settings: MaskSettings) -> tuple[MaskCheck, Job]:
            ids = {"dataset_version_id": version.id or 0, "base_model_id": model.id or 0}
            return ask_for_check(session, storage, **ids, settings=settings)

        first, job = ask(MaskSettings(max_length=512))
        assert ask(MaskSettings(max_length=512))[1].id == job.id
        assert ask(MaskSettings(max_length=513))[0].id != first.id
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.FAILED, failure=Failure.of(FailureCode.UNEXPECTED, "x"))
        again, second = ask(MaskSettings(max_length=512))
        assert again.id == first.id
        assert second.id != job.id
        with pytest.raises(Invalid, match="at most 4,096 tokens"):
            ask(MaskSettings(max_length=5000))


def test_the_worker_gets_the_confirmed_arrays_and_refuses_others(
    engine: Engine, storage: Storage, settings: Settings
) -> None:
    with transaction(engine) as session:
        run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        place = Workplace(settings, storage, f"jobs/{job.id}/1")
        handler = Train(lambda _session, _run: None)
        given = handler.child_input(session, place, claim)
        assert given.arrays_hash == ARRAYS_HASH
        assert given.arrays.endswith("jobs/1/1/arrays.safetensors")
        assert given.config.early_stopping_patience == 3
        # What travels with the adapter names no folder of this machine.
        told = given.provenance
        assert (told.dataset, told.version, told.base_model, told.mask.max_length) == (
            "Calls",
            1,
            "small",
            2048,
        )
        assert told.arrays_hash == ARRAYS_HASH
        run.config = run.config.model_copy(update={"early_stopping_patience": 0})
        session.add(run)
        assert handler.child_input(session, place, claim).config.early_stopping_patience == 0
        run.config = run.config.model_copy(update={"backend": "trl"})
        session.add(run)
        backend = handler.child_input(session, place, claim).backend
        assert backend
        assert (backend.python, backend.version) == (sys.executable, TOOL_VERSIONS["trl"])
        run.config = run.config.model_copy(update={"backend": "unsloth"})
        session.add(run)
        with pytest.raises(
            Conflict, match=r"Unsloth is not found where this worker runs.*SFT_STUDIO_UNSLOTH_ENV"
        ):
            handler.child_input(session, place, claim)
        check = mask_checks.require_mask_check(session, run.mask_check_id)
        check.arrays_hash = "b" * 64
        session.add(check)
        with pytest.raises(Conflict, match="changed after this run was confirmed"):
            handler.child_input(session, place, claim)


def test_a_finished_run_publishes_its_files_with_size_and_hash(
    engine: Engine, storage: Storage, settings: Settings
) -> None:
    with transaction(engine) as session:
        run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        with pytest.raises(Conflict, match="has no adapter"):
            service.adapter_path(storage, run)
    place = Workplace(settings, storage, f"jobs/{job.id}/1")
    folder = storage.folder(place.output_key) / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    handler, result = Train(lambda _session, _run: None), RunResult.stored(run_result(steps=3))
    files = handler.look_at_files(place, result)
    with transaction(engine) as session:
        handler.publish(session, place, claim, result, files)
        run = service.require_run(session, run.id or 0)
        (artifact,) = artifacts(session, run.id or 0)
        assert (artifact.name, artifact.size_bytes) == ("adapter_config.json", 2)
        assert artifact.sha256.startswith("44136fa3")
        assert service.adapter_path(storage, run) == folder
        with pytest.raises(NotFound):
            require_artifact(session, (run.id or 0) + 1, artifact.id or 0)


def test_a_sample_longer_than_the_model_reads_starts_nothing(engine: Engine, storage: Storage) -> None:
    with transaction(engine) as session:
        check = make_check(session, storage)
        check.report = report().model_copy(update={"longest": 4097})
        with pytest.raises(Conflict, match="longest sample has 4,097 tokens and “small” reads at most 4,096"):
            start(session, check)


def test_a_run_like_one_with_a_time_budget_has_the_steps_that_were_planned_for_it(
    engine: Engine, storage: Storage
) -> None:
    with transaction(engine) as session:
        run, _job = make_run(session, storage, changes={"max_train_minutes": "5"})
        check = mask_checks.require_mask_check(session, run.mask_check_id)
        assert NewRunForm.like(run, check).changes()["max_train_minutes"] == "5"
        plan = TrainingPlan(steps=33, wanted_steps=90, minutes=5, precision="float32")
        run.result = RunResult.stored(run_result(plan=plan))
        again = NewRunForm.like(run, check).changes()
        assert (again["max_steps"], "max_train_minutes" in again) == ("33", False)
