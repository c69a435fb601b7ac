"""Many callers at once: the event loop never waits for the database, and whoever cannot be served is told so."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts.models import Role
from app.core import migrations
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.core.web import SESSIONS, Db, Places, public
from app.main import create_app
from tests.support.live import serving
from tests.support.patience import HANGING_SECONDS, all_begun
from tests.support.people import Person, make_person, visible_text

CALLERS = 200


@pytest.fixture
def hasty(settings: Settings) -> Iterator[FastAPI]:
    """The application with a short patience."""
    yield from application(settings, 0.3)


@pytest.fixture
def patient(settings: Settings) -> Iterator[FastAPI]:
    """The application with a patience that lasts on a busy machine too."""
    yield from application(settings, 2 * HANGING_SECONDS)


def application(settings: Settings, seconds: float) -> Iterator[FastAPI]:
    app = create_app(settings.model_copy(update={"web_wait_seconds": seconds}))
    migrations.upgrade(app.state.engine)
    yield app
    app.state.engine.dispose()


def headers_of(person: Person) -> dict[str, str]:
    return {"Authorization": person.api.headers["Authorization"]}


def client(url: str, **options: object) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    seconds = 2 * HANGING_SECONDS
    return httpx.AsyncClient(base_url=url, limits=limits, timeout=seconds, trust_env=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/api/v1/datasets", "/api/v1/me"])
def test_two_hundred_callers_at_once_are_all_answered(patient: FastAPI, path: str) -> None:
    annotator = make_person(patient, Role.ANNOTATOR)

    async def call(url: str) -> list[int]:
        async with client(url, headers=headers_of(annotator)) as callers:
            answers = await asyncio.gather(*(callers.get(path) for _ in range(CALLERS)))
        return [answer.status_code for answer in answers]

    with serving(patient) as url:
        assert asyncio.run(call(url)) == [200] * CALLERS


def test_the_same_with_pages_and_with_changes(patient: FastAPI) -> None:
    annotator = make_person(patient, Role.ANNOTATOR)

    async def call(url: str) -> list[int]:
        async with client(url, headers=headers_of(annotator)) as callers, client(url) as strangers:
            answers = await asyncio.gather(
                *(callers.post("/api/v1/datasets", json={"name": f"Set {n}"}) for n in range(CALLERS // 4)),
                *(strangers.get("/login") for _ in range(CALLERS // 2)),
                *(callers.get("/api/v1/datasets") for _ in range(CALLERS // 4)),
            )
        return [answer.status_code for answer in answers]

    with serving(patient) as url:
        assert all(status < 400 for status in asyncio.run(call(url)))


def test_the_event_loop_goes_on_while_callers_wait_for_a_connection(patient: FastAPI) -> None:
    annotator = make_person(patient, Role.ANNOTATOR)

    async def call(url: str, held: ExitStack) -> tuple[list[int], list[int]]:
        async with client(url, headers=headers_of(annotator)) as callers:
            waiting = [asyncio.create_task(callers.get("/api/v1/datasets")) for _ in range(100)]
            done, _ = await asyncio.wait(waiting, timeout=1)
            assert not done
            # The first is answered by the loop itself, the second by a thread; neither needs the database.
            foreign = await callers.get("/healthz", headers={"Host": "elsewhere.example"})
            style = await callers.get("/static/css/base.css")
            assert not any(task.done() for task in waiting)
            await asyncio.to_thread(held.close)
            return [foreign.status_code, style.status_code], [(await task).status_code for task in waiting]

    with ExitStack() as held, serving(patient) as url:
        for _ in range(patient.state.engine.pool.size()):
            held.enter_context(patient.state.engine.connect())
        assert asyncio.run(call(url, held)) == ([421, 200], [200] * 100)


def test_who_waits_too_long_behind_others_is_told_so_while_they_are_still_at_it(patient: FastAPI) -> None:
    # Hasty for this place alone: however slow the machine is, the first ones come as far as that.
    patient.state.sessions = Places(SESSIONS, 0.3)
    go, begun = threading.Event(), threading.Semaphore(0)

    @public
    def hold(session: Db) -> str:
        begun.release()
        assert go.wait(HANGING_SECONDS)
        return "done"

    patient.add_api_route("/hold", hold)

    async def call(url: str) -> tuple[httpx.Response, list[int]]:
        async with client(url) as callers:
            first = [asyncio.create_task(callers.get("/hold")) for _ in range(SESSIONS)]
            try:
                assert await asyncio.to_thread(all_begun, begun, len(first))
                late = await callers.get("/hold")
                assert not any(task.done() for task in first)
            finally:
                go.set()
            return late, [(await task).status_code for task in first]

    with serving(patient) as url:
        late, first = asyncio.run(call(url))
    assert (late.status_code, first) == (503, [200] * SESSIONS)
    assert int(late.headers["retry-after"]) > 0
    assert "try again in a few seconds" in visible_text(late.text)


def test_a_stranger_waits_for_nobody_who_is_looked_up(patient: FastAPI) -> None:
    class Taken(Places):
        @asynccontextmanager
        async def place(self) -> AsyncIterator[None]:
            raise Unavailable("All are taken.")
            yield

    person = make_person(patient, Role.ANNOTATOR)
    patient.state.lookups = Taken(1, 60)
    assert person.browser.get("/datasets").status_code == 503
    assert person.api.get("/api/v1/datasets").status_code == 503
    stranger = TestClient(patient, follow_redirects=False)
    assert stranger.get("/login").status_code == 200
    assert stranger.get("/datasets").status_code == 303
    assert stranger.get("/api/v1/datasets").status_code == 401
    assert stranger.post("/login", data={"name": "nobody", "password": "wrong guess"}).status_code == 401


def test_who_finds_no_connection_free_is_told_to_try_again(hasty: FastAPI) -> None:
    person = make_person(hasty, Role.ANNOTATOR)
    with ExitStack() as held:
        for _ in range(hasty.state.engine.pool.size()):
            held.enter_context(hasty.state.engine.connect())
        answer = person.api.get("/api/v1/datasets")
        page = person.browser.get("/datasets")
    for response in (answer, page):
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
    assert "try again in a few seconds" in answer.json()["detail"]
    assert "try again in a few seconds" in visible_text(page.text)
    assert person.api.get("/api/v1/datasets").status_code == 200


def test_who_cannot_write_because_another_writes_for_long_is_told_to_try_again(hasty: FastAPI) -> None:
    person = make_person(hasty, Role.ANNOTATOR)
    other = sqlite3.connect(hasty.state.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = person.api.post("/api/v1/datasets", json={"name": "Calls"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "try again" in answer.json()["detail"]
    assert person.api.get("/api/v1/datasets").json() == [], "reading waits for no writer"
    other.execute("COMMIT")
    other.close()
    assert person.api.post("/api/v1/datasets", json={"name": "Calls"}).status_code == 201
