"""The result of a run as a document: what earlier programs stored reads on, and OpenAPI shows it whole."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import ValidationError

from app.core.database import transaction
from app.core.storage import Storage
from app.runs.result import RunResult
from tests.support.people import Person, visible_text
from tests.support.training import make_run, run_result

STORED = Path(__file__).parent / "stored" / "result_finished.json"


def test_what_earlier_programs_stored_reads_on(app: FastAPI, engineer: Person, storage: Storage) -> None:
    old = json.loads(STORED.read_text(encoding="utf-8"))
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, storage)
        session.flush()
        session.execute(
            sa.text("UPDATE run SET result = :result WHERE id = :id"),
            {"result": json.dumps(old), "id": run.id},
        )
    shown = engineer.api.get("/api/v1/runs/1").json()["result"]
    assert {"schema_version": 1, **old}.items() <= shown.items()
    assert engineer.browser.get("/runs/1").status_code == 200


def test_a_result_is_stored_whole_and_a_partial_one_refused() -> None:
    told = run_result(stop_reason="requested", stopped_early=True)
    assert RunResult.stored(json.loads(json.dumps(told))).to_json() == told
    with pytest.raises(ValidationError):
        RunResult.stored({"adapter": "adapter"})


def test_the_page_says_which_steps_weights_were_kept(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, storage)
        run.result = RunResult.stored(run_result(adapter_step=2, steps=3, eval_loss=2.4321))
        session.add(run)
    assert "kept: step 2, held-out loss 2.432" in visible_text(engineer.browser.get("/runs/1").text)


def test_a_loss_that_is_no_number_is_stored_as_unknown() -> None:
    assert run_result(train_loss=float("nan"))["train_loss"] is None


def test_the_openapi_document_shows_the_result_whole(engineer: Person) -> None:
    schemas = engineer.api.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert schemas["RunOut"]["properties"]["result"]["anyOf"][0] == {"$ref": "#/components/schemas/RunResult"}
    assert set(schemas["RunResult"]["properties"]) == set(RunResult.model_fields)
