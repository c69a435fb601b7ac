"""A model that is only looked at: its tokenizer alone, on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from app.base_models import service
from app.base_models.facts import ModelFacts
from app.base_models.handler import PrepareBaseModel
from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.work import PreparedModel, PreparePayload
from app.core.database import reading, transaction
from app.core.errors import Conflict
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import Job, JobState
from app.sentences import Failure, FailureCode
from tests.support.training import ENGINEER


def ask(engine: Engine, settings: Settings, reference: str = "org/chat", name: str = "") -> tuple[int, int]:
    """Numbers of the model and of the job that brings its tokenizer."""
    with transaction(engine) as session:
        model = service.register_base_model(
            session, settings, ENGINEER, source=BaseModelSource.HUB, reference=reference, name=name
        )
        job = service.promise_tokenizer(session, model, ENGINEER)
        assert job is not None
        assert model.id is not None
        assert job.id is not None
        return model.id, job.id


def finish(engine: Engine, settings: Settings, job_id: int, result: dict[str, Any] | None) -> None:
    with transaction(engine) as session:
        claim = jobs.claim(session, job_id, owner="w", lease_seconds=30)
        assert claim is not None
        handler, place = PrepareBaseModel(), Workplace(settings, Storage(settings.storage_dir), "jobs/1")
        if result is None:
            jobs.finish(
                session,
                claim,
                JobState.FAILED,
                failure=Failure.of(FailureCode.MODEL_MISSING, "The hub does not know it."),
            )
            return
        assert handler.child_input(session, place, claim).tokenizer_only
        handler.publish(session, place, claim, PreparedModel.stored(result), [])
        jobs.finish(session, claim, JobState.SUCCEEDED)


def test_a_tokenizer_alone_is_enough_for_masks_and_not_for_a_run(engine: Engine, settings: Settings) -> None:
    model_id, job_id = ask(engine, settings)
    assert ask(engine, settings) == (model_id, job_id)
    finish(engine, settings, job_id, {"path": "/x/tokenizer", "source": "hub", "revision": "abc"})
    with reading(engine) as session:
        assert service.require_tokenizer(session, model_id) == Path("/x/tokenizer")
        assert [model.id for model in service.models_with_tokenizer(session)] == [model_id]
        assert service.ready_base_models(session) == []
        assert service.require_base_model(session, model_id).revision == "abc"
        with pytest.raises(Conflict, match="Only the tokenizer of “chat” is here"):
            service.require_ready(session, model_id)
    assert ask(engine, settings) == (model_id, job_id)
    # and the command line finds it by its name
    assert (settings.data_dir / "models" / "org--chat").readlink() == Path("/x/tokenizer")


def test_the_whole_model_can_be_prepared_whatever_became_of_the_tokenizer(
    engine: Engine, settings: Settings
) -> None:
    model_id, job_id = ask(engine, settings)
    with transaction(engine) as session:
        _model, whole = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.HUB, reference="org/chat"
        )
        assert whole.id != job_id
        assert not whole.asked(PreparePayload).tokenizer_only
        service.prepared(session, model_id, path="/whole", info=ModelFacts(parameters=5))
    # the tokenizer comes late: the whole model stays what it is
    finish(engine, settings, job_id, {"path": "/x/tokenizer", "source": "hub", "revision": "abc"})
    with reading(engine) as session:
        assert service.require_tokenizer(session, model_id) == Path("/whole")


def test_a_mistyped_reference_leaves_nothing_behind(engine: Engine, settings: Settings) -> None:
    model_id, job_id = ask(engine, settings, "orgg/chat")
    finish(engine, settings, job_id, None)
    with reading(engine) as session:
        assert service.list_base_models(session) == []
        assert session.get(ModelEntry, model_id) is not None
    again, second = ask(engine, settings, "org/chat")
    with reading(engine) as session:
        assert [model.id for model, _job in service.list_base_models(session)] == [again]
        assert session.get(Job, second) is not None
        assert service.require_base_model(session, again).name == "chat"
