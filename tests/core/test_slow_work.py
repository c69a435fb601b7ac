"""Slow work: a few at a time, fair between people, refused in a sentence; who waits holds no thread."""

import asyncio
import threading

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, field_serializer

from app.core.errors import TooMany, Unavailable
from app.core.slow_work import Bounds, SlowWork, apart


def bounds(**changes: float) -> Bounds:
    values = {"at_once": 2, "each": 1, "asked": 3, "seconds": 60, **changes}
    return Bounds(**values, too_many="Too many.", too_long="Too long.")  # type: ignore[arg-type]


async def started(work: threading.Event) -> None:
    await asyncio.to_thread(work.wait, 120)


def test_one_person_cannot_take_every_place() -> None:
    async def scene() -> list[str]:
        work, go, begun = SlowWork(bounds()), threading.Event(), threading.Event()
        ended: list[str] = []

        def hang() -> None:
            begun.set()
            go.wait(120)
            ended.append("ann")

        slow = [asyncio.create_task(work.run("ann", hang)) for _ in range(3)]
        await started(begun)
        await work.run("mei", lambda: ended.append("mei"))
        go.set()
        await asyncio.gather(*slow)
        return ended

    assert asyncio.run(scene()) == ["mei", "ann", "ann", "ann"]


def test_who_asks_for_too_much_at_once_is_refused_until_some_of_it_is_done() -> None:
    async def scene() -> str:
        work, go = SlowWork(bounds()), threading.Event()
        under_way = [asyncio.create_task(work.run("ann", lambda: go.wait(120))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooMany) as refused:
            await work.run("ann", lambda: None)
        assert refused.value.retry_after
        go.set()
        await asyncio.gather(*under_way)
        return await work.run("ann", lambda: "done")

    assert asyncio.run(scene()) == "done"


def test_who_waits_too_long_for_a_place_is_told_so_and_work_that_has_begun_is_never_cut_off() -> None:
    async def scene() -> str:
        work, go, begun = SlowWork(bounds(at_once=1, seconds=0.1)), threading.Event(), threading.Event()

        def hang() -> str:
            begun.set()
            go.wait(120)
            return "whole"

        under_way = asyncio.create_task(work.run("ann", hang))
        await started(begun)
        with pytest.raises(Unavailable):
            await work.run("mei", lambda: None)
        go.set()
        return await under_way

    assert asyncio.run(scene()) == "whole"


def test_a_failure_gives_its_place_back() -> None:
    async def scene() -> None:
        work = SlowWork(bounds(at_once=1, asked=1))
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await work.run("ann", lambda: 1 // 0)

    asyncio.run(scene())


class Told(BaseModel):
    """Says in which thread it became JSON."""

    made_in: int

    @field_serializer("made_in")
    def in_thread(self, made_in: int) -> list[int]:
        """The thread of the work, and the one that writes."""
        return [made_in, threading.get_ident()]


def test_a_large_answer_becomes_json_where_the_work_was_done() -> None:
    app = FastAPI()
    app.state.slow_work = {}

    @app.post("/told", status_code=201)
    @apart(bounds())
    def told(request: Request) -> list[Told]:
        return [Told(made_in=threading.get_ident())]

    answer = TestClient(app).post("/told")
    assert answer.status_code == 201
    [[made_in, written_in]] = [one["made_in"] for one in answer.json()]
    assert made_in == written_in
