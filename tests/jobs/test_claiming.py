"""Which job a worker begins: the first in order that there is room for, on SQLite and on PostgreSQL."""

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.accounts.who import Who
from app.core.database import transaction
from app.jobs import service
from app.jobs.bell import kinds_beside
from app.jobs.claiming import Seat, claim_next, is_served, takeable
from app.jobs.devices import Devices, WorkerDevice
from app.jobs.models import Job, JobKind, JobState, Priority, QueuePause
from app.jobs.service import Claim

TRAINING = kinds_beside(JobKind.TRAIN)


def machine(*names: str, host: str = "one", jobs_each: int = 1) -> Seat:
    devices = [WorkerDevice(name=name, title=name, memory=1, key=f"{host}/{name}") for name in names]
    return Seat("worker", 1, Devices(devices=devices, jobs_each=jobs_each))


def promise(engine: Engine, kind: JobKind = JobKind.TRAIN, **more: object) -> int:
    with transaction(engine) as session:
        return service.enqueue(session, kind, created_by=Who("Mei"), **more).id or 0  # type: ignore[arg-type]


def take(engine: Engine, seat: Seat, kinds: Sequence[JobKind] = TRAINING, lease: float = 30) -> Claim | None:
    with transaction(engine) as session:
        return claim_next(session, kinds, seat, lease_seconds=lease)


def end(engine: Engine, mine: Claim | None) -> None:
    assert mine is not None
    with transaction(engine) as session:
        service.finish(session, mine, JobState.SUCCEEDED, result={})


def test_priority_comes_before_place_and_place_before_age(engine: Engine) -> None:
    old, moved, low = promise(engine), promise(engine), promise(engine, priority=Priority.LOW)
    high = promise(engine, priority=Priority.HIGH)
    check = promise(engine, JobKind.CHECK_MASKS)
    with transaction(engine) as session:
        session.get_one(Job, moved).place = old - 1
    order = []
    while mine := take(engine, machine("cpu")):
        order.append(mine.job_id)
        end(engine, mine)
    assert order == [high, moved, old, low]
    other = take(engine, machine("cpu"), kinds_beside(JobKind.IMPORT))
    assert other is not None
    assert (other.job_id, other.device) == (check, None)


def test_two_jobs_are_never_on_one_device_unless_a_setting_says_so(engine: Engine) -> None:
    first, second, third = promise(engine), promise(engine, JobKind.EVALUATE), promise(engine)
    mine = take(engine, machine("cpu"))
    assert mine is not None
    assert (mine.job_id, mine.device) == (first, "cpu")
    assert take(engine, machine("cpu")) is None, "another worker of the same machine"
    elsewhere = take(engine, machine("cpu", host="two"))
    assert elsewhere is not None
    assert elsewhere.job_id == second
    twice = take(engine, machine("cpu", jobs_each=2))
    assert twice is not None
    assert twice.job_id == third
    promise(engine)
    end(engine, mine)
    assert take(engine, machine("cpu")) is not None


def test_a_wish_for_a_device_waits_for_it_and_lets_others_pass(engine: Engine) -> None:
    gpus = machine("cuda:0", "cuda:1", "cpu")
    wanted, free, on_cpu = (promise(engine, device=wish) for wish in ("cuda:1", "any", "cpu"))
    taken = [take(engine, gpus) for _ in range(3)]
    assert [(one.job_id, one.device) for one in taken if one] == [
        (wanted, "cuda:1"),
        (free, "cuda:0"),
        (on_cpu, "cpu"),
    ]
    again, later = promise(engine, device="cuda:1"), promise(engine, device="cuda")
    assert take(engine, gpus) is None
    end(engine, taken[1])
    next_one = take(engine, gpus)
    assert next_one is not None
    assert (next_one.job_id, next_one.device) == (later, "cuda:0")
    end(engine, taken[0])
    assert (take(engine, gpus) or next_one).job_id == again


def test_a_rescued_job_keeps_its_place_and_frees_its_device(engine: Engine) -> None:
    lost, waiting = promise(engine), promise(engine)
    assert take(engine, machine("cpu"), lease=-1) is not None
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == [lost]
    mine = take(engine, machine("cpu"))
    assert mine is not None
    assert (mine.job_id, mine.attempt) == (lost, 2)
    with transaction(engine) as session:
        service.release(session, mine)
    assert (take(engine, machine("cpu")) or mine).job_id == lost
    with transaction(engine) as session:
        service.finish(session, Claim(lost, 3, JobKind.TRAIN, {}), JobState.FAILED)
    assert (take(engine, machine("cpu")) or mine).job_id == waiting


def test_while_the_queue_is_paused_only_chats_begin(engine: Engine) -> None:
    promise(engine)
    chat = promise(engine, JobKind.CHAT)
    with transaction(engine) as session:
        session.add(QueuePause(created_by="Ann"))
    assert take(engine, machine("cpu")) is None
    assert (take(engine, machine("cpu"), [JobKind.CHAT]) or Claim(0, 0, JobKind.CHAT, {})).job_id == chat
    with transaction(engine) as session:
        assert takeable(session, TRAINING, machine("cpu"), 9) == []


def test_bells_are_rung_for_no_more_than_there_is_room_for(engine: Engine) -> None:
    first, _second = promise(engine), promise(engine)
    with transaction(engine) as session:
        assert [job.id for job in takeable(session, TRAINING, machine("cpu"), 9)] == [first]
        assert takeable(session, TRAINING, machine("cpu"), 0) == []
        assert len(takeable(session, TRAINING, Seat("worker"), 9)) == 2


@pytest.mark.parametrize("devices", [1, 2])
def test_workers_that_hurry_take_the_first_jobs_and_share_no_device(engine: Engine, devices: int) -> None:
    jobs = [promise(engine) for _ in range(5)]
    seat = machine(*(f"cuda:{number}" for number in range(devices)))
    barrier, won = threading.Barrier(4), []

    def hurry() -> None:
        barrier.wait(60)
        if mine := take(engine, seat):
            won.append(mine.job_id)

    threads = [threading.Thread(target=hurry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(won) == jobs[:devices]
    with transaction(engine) as session:
        slots = [slot for slot in session.exec(select(Job.device_slot)) if slot]
    assert len(set(slots)) == devices


def test_a_worker_serves_the_kinds_of_its_queues() -> None:
    assert [kind for kind in JobKind if is_served(kind, "interactive,training")] == [
        JobKind.TRAIN,
        JobKind.EVALUATE,
        JobKind.CHAT,
    ]
