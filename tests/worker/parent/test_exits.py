"""How a child that ended says why, and which end another attempt may mend."""

import signal
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.storage import Storage
from app.jobs.models import JobKind
from app.sentences import Failure, FailureCode, Sentence
from worker.parent.exits import judge_exit
from worker.parent.handlers import HANDLERS
from worker.parent.supervisor import Supervisor, _Outcome


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize(
    ("for_memory", "said"), [(True, "memory ran out"), (None, "Often that is the machine's memory")]
)
def test_what_the_system_killed_names_the_memory_and_only_a_training_its_batch_size(
    kind: JobKind, for_memory: bool | None, said: str
) -> None:
    found = judge_exit(-signal.SIGKILL, kind, for_memory=for_memory, printed="step 4")
    words = found.failure.sentence.english()
    assert (found.failure.code, found.again) == ("killed", None)
    assert "(signal SIGKILL)" in words
    assert said in words
    assert ("batch size" in words) == (kind is JobKind.TRAIN)


@pytest.mark.parametrize(
    ("number", "for_memory"), [(signal.SIGKILL, False), (signal.SIGTERM, None), (signal.SIGTERM, True)]
)
def test_what_somebody_ended_may_be_begun_again(number: signal.Signals, for_memory: bool | None) -> None:
    found = judge_exit(-number, JobKind.TRAIN, for_memory=for_memory, printed="step 4")
    assert found.failure.code == "died"
    assert f"ended from outside (signal {number.name})" in found.failure.sentence.english()
    assert found.again is not None


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT])
def test_a_crash_is_no_want_of_memory_and_would_come_again(number: signal.Signals) -> None:
    found = judge_exit(-number, JobKind.TRAIN, for_memory=None, printed="step 4")
    assert (found.failure.code, found.again) == ("died", None)
    assert (
        found.failure.sentence.english() == f"The process crashed (signal {number.name}). The log says more."
    )


def test_an_exit_code_is_told() -> None:
    found = judge_exit(3, JobKind.TRAIN, for_memory=True, printed="step 4")
    assert "(exit code 3)" in found.failure.sentence.english()
    assert found.again is None


def test_a_child_that_lost_a_process_of_its_own_says_itself_whether_to_begin_again(app: FastAPI) -> None:
    supervisor = Supervisor(
        app.state.settings, app.state.engine, Storage(app.state.settings.storage_dir), HANDLERS
    )
    told = Failure.of(
        FailureCode.DIED, "Ended in %(folder)s.", folder=f"{supervisor.storage.root}/jobs/1"
    ).to_json()
    nobody: Any = None  # a failure is told to nobody before the end
    outcomes: list[_Outcome] = []
    for more in ({}, {"again": Sentence("Once more.").to_json()}):
        outcomes.append(_Outcome())
        supervisor._take([{"event": "failed", **told, **more}], nobody, outcomes[-1])
    assert [outcome.failure for outcome in outcomes] == [
        Failure.of(FailureCode.DIED, "Ended in %(folder)s.", folder="jobs/1")
    ] * 2
    assert [outcome.again for outcome in outcomes] == [None, Sentence("Once more.")]
