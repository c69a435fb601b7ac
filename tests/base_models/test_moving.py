"""The data folder may move: what was prepared in it is found where it lies now."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, text

from app.accounts.models import Role
from app.base_models import service
from app.base_models.facts import ModelFacts
from app.base_models.handler import PrepareBaseModel
from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.work import PreparedModel
from app.core import migrations
from app.core.database import transaction
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.main import create_app
from app.runs.handler import Train
from app.runs.service import require_run
from tests.support.people import make_person
from tests.support.tokenizers import smollm2_folder  # noqa: F401 - a fixture
from tests.support.training import ENGINEER, make_run

DIALOGUE = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


def prepare(engine: Engine, settings: Settings, folder: Path) -> int:
    """A hub model whose worker wrote this folder into its job's."""
    with transaction(engine) as session:
        model, job = service.add_base_model(
            session, settings, ENGINEER, source=BaseModelSource.HUB, reference="org/chat"
        )
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        place = Workplace(settings, Storage(settings.storage_dir), f"jobs/{job.id}/1")
        shutil.copytree(folder, place.output_dir / "model")
        (place.output_dir / "model" / "config.json").touch()
        PrepareBaseModel().publish(session, place, claim, PreparedModel(path="model"), [])
        jobs.finish(session, claim, JobState.SUCCEEDED)
        assert model.id is not None
        return model.id


def test_a_moved_folder_shows_masks_trains_and_finds_its_models(
    tmp_path: Path,
    migrated_file: Path,
    smollm2_folder: Path,  # noqa: F811
    silent_bell: None,
) -> None:
    before = Settings(data_dir=tmp_path / "here" / "data")
    app = create_app(before)
    shutil.copy(migrated_file, app.state.engine.url.database)
    model_id = prepare(app.state.engine, before, smollm2_folder)
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage)
        run.base_model_id, run_id = model_id, run.id
        session.add(run)
    with app.state.engine.connect() as connection:
        assert connection.execute(
            text("SELECT path FROM base_model WHERE id = :id"), {"id": model_id}
        ).scalar() == ("jobs/1/1/model")
    app.state.engine.dispose()
    (tmp_path / "here").rename(tmp_path / "there")

    after = Settings(data_dir=tmp_path / "there" / "data")
    moved = create_app(after)
    person = make_person(moved, Role.ENGINEER)
    shown = person.api.post("/api/v1/mask-previews", json={"base_model_id": model_id, "messages": DIALOGUE})
    assert shown.status_code == 200, shown.text
    with transaction(moved.state.engine) as session:
        claim = jobs.claim(session, require_run(session, run_id or 0).job_id, owner="w", lease_seconds=30)
        assert claim is not None
        place = Workplace(after, moved.state.storage, "jobs/9/1")
        given = Train(lambda *_: None).child_input(session, place, claim)
    for path in (given.base_model_path, given.arrays):
        assert Path(path).is_relative_to(after.storage_dir)
    assert (after.data_dir / "models" / "org--chat" / "tokenizer.json").is_file()
    # No reader is told where on the server the folder lies.
    assert str(tmp_path) not in person.api.get(f"/api/v1/base-models/{model_id}").text
    moved.state.engine.dispose()


def test_a_model_whose_folder_is_gone_can_be_prepared_again(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    model_id = prepare(engine, settings, tmp_path / "small")
    with transaction(engine) as session:
        model, done = service.retry(session, ENGINEER, model_id)
        assert (model.is_ready, done.state) == (True, JobState.SUCCEEDED)
    with transaction(engine) as session:
        shutil.rmtree(service.require_base_model(session, model_id).path or "")
        model, again = service.retry(session, ENGINEER, model_id)
        assert (model.is_ready, again.state) == (False, JobState.QUEUED)
        assert again.id != done.id


@pytest.mark.parametrize("old", ["/gone/data/storage/jobs/3/1/model", "/x/storage/y/storage/jobs/3/1/model"])
def test_older_rows_are_found_again_wherever_the_folder_was(engine: Engine, old: str) -> None:
    with transaction(engine) as session:
        for name, path in (("stored", old), ("elsewhere", "/models/small")):
            facts = ModelFacts(parameters=5)
            session.add(
                ModelEntry(name=name, source=BaseModelSource.HUB, reference=name, path=path, info=facts)
            )
    migrations.downgrade(engine, "0008")
    table = sa.table("base_model", sa.column("name"), sa.column("path"), sa.column("info", sa.JSON))
    with engine.begin() as connection:
        info = {"schema_version": 1, "parameters": 5, "tokenizer_path": old.replace("model", "tokenizer")}
        connection.execute(sa.update(table).values(info=info))
        connection.execute(sa.update(table).where(table.c.name == "stored").values(path=old))
        connection.execute(sa.update(table).where(table.c.name == "elsewhere").values(path="/models/small"))
    migrations.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT path, tokenizer_path FROM base_model ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [
        ("jobs/3/1/model", "jobs/3/1/tokenizer"),
        ("/models/small", "jobs/3/1/tokenizer"),
    ]
