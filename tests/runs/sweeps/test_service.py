"""The rules of sweeps on SQLite and on PostgreSQL: all or nothing, exactly once."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.core.database import reading, transaction
from app.core.errors import Invalid
from app.core.storage import Storage
from app.recipes.axes import read_axis
from app.runs.models import Run
from app.runs.once import KeyTaken
from app.runs.service import RunRequest
from app.runs.sweeps.models import Sweep
from app.runs.sweeps.service import SweepRequest, require_sweep, runs_of_sweep, start_sweep
from tests.support.training import ENGINEER, make_check

RATES = (read_axis("learning_rate", "2e-5, 5e-5"),)


@pytest.fixture
def check_id(engine: Engine, tmp_path: Path) -> int:
    with transaction(engine) as session:
        return make_check(session, Storage(tmp_path / "storage")).id or 0


def start(session: Session, check_id: int, **run: object) -> Sweep:
    request = RunRequest(check_id, confirmed=True, idempotency_key="k", **run)  # type: ignore[arg-type]
    return start_sweep(session, ENGINEER, SweepRequest(request, RATES))[0]


def test_two_clicks_at_once_start_one_sweep_whose_axes_are_read_back(engine: Engine, check_id: int) -> None:
    found: list[int | None] = []
    barrier = threading.Barrier(2)

    def click() -> None:
        barrier.wait(60)
        with transaction(engine) as session:
            found.append(start(session, check_id).id)

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join(60)
    assert len(set(found)) == 1
    with reading(engine) as session:
        sweep = require_sweep(session, found[0] or 0)
        assert sweep.varied.axes == RATES
        assert len(runs_of_sweep(session, sweep)) == len(session.exec(select(Run)).all()) == 2


def test_the_key_of_a_sweep_starts_no_other_one(engine: Engine, check_id: int) -> None:
    with transaction(engine) as session:
        first = start(session, check_id)
        assert start(session, check_id).id == first.id
        request = RunRequest(check_id, confirmed=True, idempotency_key="k")
        other = SweepRequest(request, (read_axis("learning_rate", "2e-5, 6e-5"),))
        with pytest.raises(KeyTaken, match=f"Sweep {first.id} was started with this idempotency key"):
            start_sweep(session, ENGINEER, other)
        with pytest.raises(KeyTaken):
            start(session, check_id, recipe="quick")


def test_one_wrong_run_of_many_starts_none(engine: Engine, check_id: int) -> None:
    with transaction(engine) as session:
        axes = (read_axis("lora_r", "8, 16, 0"),)
        request = SweepRequest(RunRequest(check_id, confirmed=True), axes)
        with pytest.raises(Invalid) as raised:
            start_sweep(session, ENGINEER, request)
        assert raised.value.field == "lora_r"
    with reading(engine) as session:
        assert session.exec(select(Run)).all() == []
        assert session.exec(select(Sweep)).all() == []
