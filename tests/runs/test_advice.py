"""What a failed run is advised: by the code of the failure, never by words in its sentence."""

import pytest
from sqlalchemy import Engine

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.advice import Remedy, remedy_for
from app.sentences import Failure, FailureCode
from tests.support.training import make_run

pytestmark = pytest.mark.usefixtures("silent_bell")


def remedy(engine: Engine, storage: Storage, failure: Failure) -> Remedy | None:
    with transaction(engine) as session:
        run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        return remedy_for(run, jobs.finish(session, claim, JobState.FAILED, failure=failure))


@pytest.mark.parametrize("code", [FailureCode.OUT_OF_MEMORY, FailureCode.KILLED])
def test_too_little_memory_is_answered_with_smaller_batches(
    engine: Engine, storage: Storage, code: FailureCode
) -> None:
    found = remedy(engine, storage, Failure.of(code, "Kaputt."))
    assert found is not None
    assert found.changes["gradient_checkpointing"] == "true"
    assert int(found.changes["per_device_train_batch_size"]) > 0


def test_a_loss_that_is_no_number_is_answered_with_fields_that_win_over_what_was_typed(
    engine: Engine, storage: Storage
) -> None:
    found = remedy(engine, storage, Failure.of(FailureCode.NOT_A_NUMBER, "Kaputt."))
    assert found is not None
    assert (found.changes["learning_rate"], found.changes["max_grad_norm"]) == ("2e-5", "0.5")


@pytest.mark.parametrize("folder", ["nanochat-d20", "signal-memory", "learning rate"])
def test_words_in_the_name_of_a_folder_are_no_reason(engine: Engine, storage: Storage, folder: str) -> None:
    unusable = Failure.of(FailureCode.MODEL_UNUSABLE, "%(reference)s cannot be loaded.", reference=folder)
    found = remedy(engine, storage, unusable)
    assert found is not None
    assert found.changes == {}
