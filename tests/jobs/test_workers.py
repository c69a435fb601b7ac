"""Workers tell that they are there, and are forgotten when they are not."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from app.core.database import transaction
from app.core.errors import Invalid
from app.jobs.devices import Devices, WorkerDevice
from app.jobs.models import Worker
from app.jobs.workers import (
    GONE_SECONDS,
    Presence,
    devices_of_workers,
    living_workers,
    lost_workers,
    require_wish,
    sign_off,
    tell_presence,
)

DEVICES = Devices(devices=[WorkerDevice(name="cpu", title="CPU", memory=8, key="host/cpu")])


def tell(engine: Engine, worker_id: int | None = None, queues: str = "training") -> int:
    with transaction(engine) as session:
        return tell_presence(session, Presence("night", queues, 1, DEVICES), worker_id)


def age(engine: Engine, worker_id: int, seconds: float) -> None:
    with transaction(engine) as session:
        worker = session.get_one(Worker, worker_id)
        worker.seen_at -= timedelta(seconds=seconds)
        session.add(worker)


def test_a_worker_is_one_row_alive_as_long_as_it_tells(engine: Engine) -> None:
    mine = tell(engine)
    assert tell(engine, mine) == mine
    age(engine, mine, GONE_SECONDS + 1)
    with transaction(engine) as session:
        assert (living_workers(session), [one.id for one in lost_workers(session)]) == ([], [mine])
    assert tell(engine, mine) == mine
    with transaction(engine) as session:
        assert [one.name for one in living_workers(session)] == ["night"]
        sign_off(session, mine)
        assert living_workers(session) == []
    assert tell(engine, mine) != mine, "forgotten meanwhile, it is there anew"


def test_one_that_never_came_back_is_forgotten(engine: Engine) -> None:
    lost = tell(engine)
    age(engine, lost, 25 * 3600)
    tell(engine)
    with transaction(engine) as session:
        assert lost_workers(session) == []


def test_a_wish_that_no_living_worker_can_grant_is_refused_with_what_there_is(engine: Engine) -> None:
    with transaction(engine) as session:
        assert require_wish(session, "cuda:1") == "cuda:1", "nobody is there who could know"
    tell(engine, queues="default")
    with transaction(engine) as session:
        assert devices_of_workers(session) == []
    tell(engine)
    with transaction(engine) as session:
        assert require_wish(session, "cpu") == "cpu"
        with pytest.raises(Invalid, match="There are: cpu"):
            require_wish(session, "cuda")
