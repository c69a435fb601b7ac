"""A sweep of two learning rates on a green check, and what its runs told."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.base_models.service import require_base_model
from app.core.database import transaction
from app.jobs import service as jobs
from app.jobs.models import JobKind, JobState
from app.runs.models import Run
from app.sentences import Failure, FailureCode, Sentence
from tests.support.people import Person
from tests.support.training import make_check, model_facts

RATES = {"fields": ["learning_rate"], "values": [2e-5, 5e-5]}


@pytest.fixture
def check_id(app: FastAPI) -> int:
    with transaction(app.state.engine) as session:
        check = make_check(session, app.state.storage, conversations=40)
        model = require_base_model(session, check.base_model_id)
        # Enough to tell what checkpoints take.
        model.info = model_facts(vocabulary=49_152)
        session.add(model)
        return check.id or 0


def start(person: Person, check_id: int, *, key: str = "", **body: Any) -> Any:
    asked = {"mask_check_id": check_id, "confirmed": True, "axes": [RATES], **body}
    return person.api.post("/api/v1/sweeps", json=asked, headers={"Idempotency-Key": key} if key else {})


def tell(app: FastAPI, run_id: int, *losses: float, failed: bool = False) -> None:
    """A run that measured these held-out losses, at steps 0, 10, 20 … and ended."""
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        claim = jobs.claim(session, run.job_id, owner="w", lease_seconds=60)
        assert claim is not None
        evals = [("eval", {"step": 10 * place, "eval_loss": loss}) for place, loss in enumerate(losses)]
        jobs.heartbeat(session, claim, lease_seconds=60, events=evals)
        end(session, claim, failed=failed)


def end(session: Session, claim: jobs.Claim, *, failed: bool) -> None:
    assert claim.kind is JobKind.TRAIN
    if failed:
        failure = Failure(FailureCode.OUT_OF_MEMORY, Sentence("The memory is full."))
        jobs.finish(session, claim, JobState.FAILED, failure=failure)
    else:
        jobs.finish(session, claim, JobState.SUCCEEDED, result={})
