"""Registering base models, on SQLite and on PostgreSQL."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.base_models import service
from app.base_models.facts import ModelFacts
from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.work import PreparePayload
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid
from app.core.settings import Settings
from app.jobs import service as jobs
from app.jobs.models import Job, JobState
from app.sentences import Failure, FailureCode
from tests.support.training import ENGINEER, make_model


def fail(engine: Engine, job_id: int) -> None:
    with transaction(engine) as session:
        claim = jobs.claim(session, job_id, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(
            session,
            claim,
            JobState.FAILED,
            failure=Failure.of(FailureCode.UNEXPECTED, "No template in %(path)s.", path="/m"),
        )


def test_registering_the_same_model_twice_gives_one_model_and_one_job(
    engine: Engine, settings: Settings
) -> None:
    with transaction(engine) as session:
        first = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.BUNDLED, reference=""
        )
        again = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.BUNDLED, reference="x"
        )
        assert first[0].id == again[0].id
        assert first[1].id == again[1].id
        assert first[1].asked(PreparePayload) == PreparePayload(base_model_id=first[0].id or 0)


def test_two_people_registering_at_once_get_the_same_model(engine: Engine, settings: Settings) -> None:
    found: list[int | None] = []
    barrier = threading.Barrier(4)

    def add() -> None:
        barrier.wait(60)
        with transaction(engine) as session:
            model, _job = service.add_base_model(
                session, settings, ENGINEER, source=BaseModelSource.HUB, reference="org/chat"
            )
            found.append(model.id)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    with reading(engine) as session:
        assert len(session.exec(select(ModelEntry)).all()) == 1
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_failed_preparation_tells_why_and_can_be_tried_again(engine: Engine, settings: Settings) -> None:
    with transaction(engine) as session:
        model, job = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.HUB, reference="org/chat"
        )
        assert model.id is not None
        assert job.id is not None
    fail(engine, job.id)
    with (
        pytest.raises(Conflict, match="could not be prepared: No template in /m"),
        reading(engine) as session,
    ):
        service.require_ready(session, model.id)
    with transaction(engine) as session:
        _model, second = service.retry(session, ENGINEER, model.id)
        _model, third = service.retry(session, ENGINEER, model.id)
        assert second.id != job.id
        assert third.id == second.id


def test_a_prepared_model_is_ready_with_its_facts(engine: Engine, settings: Settings) -> None:
    with transaction(engine) as session:
        model, _job = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.HUB, reference="org/chat"
        )
        assert model.id is not None
        with pytest.raises(Conflict, match="not ready yet"):
            service.require_ready(session, model.id)
        service.prepared(session, model.id, path="/x", info=ModelFacts(parameters=5), revision="abc")
        session.flush()
        assert service.require_ready(session, model.id) == (model, Path("/x"))
        assert model.revision == "abc"
        assert [found.id for found in service.ready_base_models(session)] == [model.id]


@pytest.mark.parametrize("reference", ["", "  ", "a/b/c", "https://evil.example/x", "org/../x y", "x" * 501])
def test_a_bad_hub_id_is_refused_at_its_field(engine: Engine, settings: Settings, reference: str) -> None:
    with transaction(engine) as session:
        with pytest.raises(Invalid) as raised:
            service.add_base_model(
                session, settings, ENGINEER, source=BaseModelSource.HUB, reference=reference
            )
        assert raised.value.field == "reference"
        assert session.exec(select(Job)).all() == []


def test_folders_outside_the_allowed_roots_are_refused(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    with transaction(engine) as session:
        for reference in ("/etc", str(tmp_path / "link"), str(tmp_path / ".." / "..")):
            with pytest.raises(Invalid, match="below these folders only"):
                service.add_base_model(
                    session, settings, ENGINEER, source=BaseModelSource.LOCAL, reference=reference
                )
        with pytest.raises(Invalid, match="There is no folder"):
            service.add_base_model(
                session, settings, ENGINEER, source=BaseModelSource.LOCAL, reference=str(tmp_path / "none")
            )
        model, _job = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.LOCAL, reference=str(tmp_path / "model")
        )
        assert model.name == "model"


def test_a_taken_name_is_a_conflict(engine: Engine, settings: Settings) -> None:
    with transaction(engine) as session:
        make_model(session, name="chat")
        with pytest.raises(Conflict, match="already a base model named “chat”"):
            service.add_base_model(
                session, settings, ENGINEER, source=BaseModelSource.HUB, reference="org/chat"
            )


def test_an_adapter_names_its_base_as_other_machines_know_it() -> None:
    def known(source: BaseModelSource, reference: str, revision: str) -> tuple[str, str | None]:
        model = ModelEntry(name="Ours", source=source, reference=reference, revision=revision)
        return service.known_elsewhere(model)[:2]

    assert known(BaseModelSource.HUB, "org/chat", "c" * 40) == ("org/chat", "c" * 40)
    assert known(BaseModelSource.LOCAL, "/srv/models/chat", "") == ("Ours", None)
    assert known(BaseModelSource.BUNDLED, "x", "x.gguf") == ("HuggingFaceTB/SmolLM2-135M-Instruct", None)
