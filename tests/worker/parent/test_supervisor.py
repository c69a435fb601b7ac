"""How a child that ended says why."""

import signal

import pytest

from app.jobs.models import JobKind
from worker.parent.supervisor import _judge_exit, _Outcome


@pytest.mark.parametrize("kind", JobKind)
def test_only_a_killed_training_is_told_to_lower_its_batch_size(kind: JobKind) -> None:
    outcome = _Outcome(result={})
    _judge_exit(-signal.SIGKILL, outcome, kind)
    assert outcome.result is None
    assert outcome.failure is not None
    said = outcome.failure.sentence.english()
    assert outcome.failure.code == "killed"
    assert "(signal SIGKILL)" in said
    assert ("batch size" in said) == (kind is JobKind.TRAIN)
    assert "memory running out" in said
