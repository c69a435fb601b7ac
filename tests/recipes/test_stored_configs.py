"""Configs as the version before the common model wrote them: of runs, and in the checkpoints of its workers."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.core.database import reading, transaction
from app.core.errors import Conflict
from app.core.storage import Storage
from app.recipes.config import TrainingConfig
from app.runs.models import Run
from app.runs.work import TrainInput
from tests.support.training import make_run
from worker.work.training.identity import identity, is_same

STORED: dict[str, dict[str, dict[str, Any]]] = json.loads(
    Path(__file__).with_name("stored_configs.json").read_text("utf-8")
)
RUNS, CHECKPOINTS = STORED["run.config"], STORED["checkpoint identity.config"]


@pytest.mark.parametrize("name", RUNS)
def test_every_stored_value_reads_on_and_new_fields_have_their_defaults(name: str) -> None:
    config = TrainingConfig.stored(RUNS[name]).to_json()
    assert {field: config[field] for field in RUNS[name]} == RUNS[name]
    added = {field: value for field, value in config.items() if field not in RUNS[name]}
    assert added == {field: TrainingConfig.model_fields[field].default for field in added}
    assert TrainingConfig.stored(config).to_json() == config


def test_a_row_that_an_earlier_version_wrote_is_a_config_again(engine: Engine, tmp_path: Path) -> None:
    with transaction(engine) as session:
        run, _job = make_run(session, Storage(tmp_path))
        session.flush()
        session.connection().execute(
            text("UPDATE run SET config = :config WHERE id = :id"),
            {"config": json.dumps(RUNS["every largest value"]), "id": run.id},
        )
    with reading(engine) as session:
        config = session.get_one(Run, 1).config
        assert (config.lora_r, config.lora_target_modules) == (1024, ["q_proj", "my.module"])
        assert config.warmup_steps == 0


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_run_goes_on_from_a_checkpoint_of_the_version_before(name: str) -> None:
    job = TrainInput.model_construct(arrays_hash="a" * 64, base_model_path="/models/small")
    kept = {"arrays_hash": "a" * 64, "base_model": "small", "config": CHECKPOINTS[name]}
    config = TrainingConfig.stored(RUNS[name])
    assert is_same(kept, identity(config, job, job.arrays_hash))
    for change in ({"seed": 7}, {"lora_r": 5}, {"warmup_steps": 3}):
        assert not is_same(kept, identity(config.model_copy(update=change), job, job.arrays_hash))
    assert not is_same({**kept, "config": {"lora_x": 1}}, identity(config, job, job.arrays_hash))
    # How often something is logged changes no number.
    assert is_same(kept, identity(config.model_copy(update={"logging_steps": 3}), job, job.arrays_hash))


def test_what_no_version_wrote_is_a_sentence() -> None:
    with pytest.raises(Conflict, match=r"cannot be read: There is no field lora_x here"):
        TrainingConfig.stored({"lora_x": 3})
