"""How a child that ended says why, and which end another attempt may mend."""

import signal

import pytest

from app.jobs.models import JobKind
from app.sentences import Failure
from worker.parent.exits import judge_below, judge_exit
from worker.work.backends.explaining import explain


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize(
    ("for_memory", "said"), [(True, "memory ran out"), (None, "Often that is the machine's memory")]
)
def test_what_the_system_killed_names_the_memory_and_only_a_training_its_batch_size(
    kind: JobKind, for_memory: bool | None, said: str
) -> None:
    found = judge_exit(-signal.SIGKILL, kind, for_memory=for_memory)
    words = found.failure.sentence.english()
    assert (found.failure.code, found.again) == ("killed", None)
    assert "(signal SIGKILL)" in words
    assert said in words
    assert ("batch size" in words) == (kind is JobKind.TRAIN)


@pytest.mark.parametrize(
    ("number", "for_memory"), [(signal.SIGKILL, False), (signal.SIGTERM, None), (signal.SIGTERM, True)]
)
def test_what_somebody_ended_may_be_begun_again(number: signal.Signals, for_memory: bool | None) -> None:
    found = judge_exit(-number, JobKind.TRAIN, for_memory=for_memory)
    assert found.failure.code == "died"
    assert f"ended from outside (signal {number.name})" in found.failure.sentence.english()
    assert found.again is not None


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT])
def test_a_crash_is_no_want_of_memory_and_would_come_again(number: signal.Signals) -> None:
    found = judge_exit(-number, JobKind.TRAIN, for_memory=None)
    assert (found.failure.code, found.again) == ("died", None)
    assert (
        found.failure.sentence.english() == f"The process crashed (signal {number.name}). The log says more."
    )


def test_an_exit_code_is_told() -> None:
    found = judge_exit(3, JobKind.TRAIN, for_memory=True)
    assert "(exit code 3)" in found.failure.sentence.english()
    assert found.again is None


@pytest.mark.parametrize(
    ("exit_code", "for_memory", "code", "said", "again"),
    [
        (-9, None, "killed", "TRL was killed (signal 9). Often that is the machine's memory", False),
        (-9, True, "killed", "memory ran out, and the system killed the process (signal SIGKILL)", False),
        (-9, False, "died", "ended from outside (signal SIGKILL)", True),
        (-11, False, "died", "The process crashed (signal SIGSEGV)", False),
    ],
)
def test_a_tool_that_was_killed_is_judged_as_the_child_itself(
    exit_code: int, for_memory: bool | None, code: str, said: str, again: bool
) -> None:
    found = judge_below(explain("TRL", exit_code, []).failure, JobKind.TRAIN, for_memory=for_memory)
    assert (found.failure.code, found.again is not None) == (code, again)
    assert said in found.failure.sentence.english()


@pytest.mark.parametrize(("code", "again"), [(-9, True), (1, False)])
def test_one_of_several_processes_that_was_ended_from_outside_may_be_begun_again(
    code: int, again: bool
) -> None:
    told = Failure.of("killed", "Process %(rank)d of 2 ended (exit code %(code)d).", rank=1, code=code)
    found = judge_below(told, JobKind.TRAIN, for_memory=False)
    assert (found.again is not None, found.failure == told) == (again, not again)
