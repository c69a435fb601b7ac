"""Previews with endless templates are bounded: the others go on working, and nobody's template holds a connection."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.accounts.models import Role
from app.accounts.who import Who
from app.core.database import transaction
from app.jobs import service as jobs
from app.jobs.models import JobKind
from app.masking.templates import isolated
from app.previews.service import PREVIEWS
from tests.masking.templates.test_isolated import BOMBS
from tests.previews.conftest import DIALOGUE, MakeConversation, MakeModel
from tests.support.held_renderers import hold_renderers
from tests.support.live import serving
from tests.support.patience import HANGING_SECONDS
from tests.support.people import Person, make_person
from tests.support.workers import wait_until

# More than one person may ask for, and more than are rendered at a time. Each works for as long as it is let.
SLOW = 12


@pytest.fixture
def let_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The file that renderers wait for; none of them is left afterwards."""
    file = tmp_path / "go"
    hold_renderers(monkeypatch, file)
    yield file
    file.touch()
    isolated.close_renderers()


def caller(url: str, person: Person) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": person.api.headers["Authorization"]},
        limits=httpx.Limits(max_connections=None),
        timeout=240,
        trust_env=False,
    )


def endless(model: int, number: int) -> dict[str, object]:
    # Each is another template, so that none is refused for what the one before it took.
    template = BOMBS["nested loops"] + f"{{# {number} #}}"
    return {"base_model_id": model, "messages": DIALOGUE, "chat_template": template}


def rendering() -> int:
    """How many templates are under way."""
    return len(isolated._renderers._taken)


def rooms_are_rendering(count: int) -> None:
    """Returns once so many templates are under way."""
    wait_until(lambda: rendering() >= count, timeout_seconds=HANGING_SECONDS, what="the rendering")


async def first_event(client: httpx.AsyncClient, job_id: int) -> str:
    async with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                return line
    return ""


@pytest.mark.parametrize("several", [False, True], ids=["of one person", "of several people"])
def test_slow_previews_hold_up_neither_files_nor_pages_nor_streams(
    app: FastAPI, make_model: MakeModel, annotator: Person, let_go: Path, several: bool
) -> None:
    model = make_model("small", "")
    with transaction(app.state.engine) as session:
        job_id = jobs.enqueue(session, JobKind.TRAIN, created_by=Who("Mei")).id
    assert job_id is not None
    people = [make_person(app, Role.ANNOTATOR, f"person {number}") for number in range(3 if several else 1)]
    rooms = min(PREVIEWS.each * len(people), PREVIEWS.at_once)

    async def scene(url: str) -> list[int]:
        callers = [caller(url, person) for person in people]
        async with caller(url, annotator) as reader:
            slow = [
                asyncio.create_task(
                    callers[number % len(callers)].post("/api/v1/mask-previews", json=endless(model, number))
                )
                for number in range(SLOW)
            ]
            await asyncio.to_thread(rooms_are_rendering, rooms)
            assert (await reader.get("/static/css/base.css")).status_code == 200
            assert (await reader.get("/api/v1/me")).status_code == 200
            assert (await reader.get("/api/v1/datasets")).status_code == 200
            assert (await reader.post("/api/v1/datasets", json={"name": "Calls"})).status_code == 201
            assert (await first_event(reader, job_id)) == "event: state"
            assert rendering() >= rooms, "the others are answered while the previews are under way"
            await asyncio.to_thread(let_go.touch)
            statuses = [(await task).status_code for task in slow]
        for client in callers:
            await client.aclose()
        return statuses

    with serving(app) as url:
        statuses = asyncio.run(scene(url))
    assert set(statuses) <= {422, 429, 503}
    if not several:
        assert statuses.count(429) == SLOW - PREVIEWS.asked


def test_no_connection_is_held_while_a_template_renders(
    app: FastAPI,
    make_model: MakeModel,
    make: MakeConversation,
    annotator: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, conversation = make_model("small", ""), make()
    held: list[int] = []
    ask = isolated._Renderers.ask

    def counting(rooms: isolated._Renderers, source: str, request: dict[str, object]) -> dict[str, object]:
        held.append(app.state.engine.pool.checkedout())
        return ask(rooms, source, request)

    monkeypatch.setattr(isolated._Renderers, "ask", counting)
    annotator.api.post(
        "/api/v1/mask-previews", json={"base_model_id": model, "conversation_id": conversation}
    )
    other = {"base_model_id": model, "conversation_id": conversation, "other": {"base_model_id": model}}
    annotator.api.post("/api/v1/mask-previews/compare", json=other)
    annotator.api.get(f"/api/v1/base-models/{model}/template-arguments")
    page = f"/conversations/{conversation}/mask"
    assert annotator.browser.get(f"{page}?compare=model:{model}").status_code == 200
    form = {"base_model": str(model), "flags": "1:0", "version": "1"}
    assert (
        annotator.browser.post(f"{page}/flags", data=form, headers={"HX-Request": "true"}).status_code == 200
    )
    assert json.loads(annotator.browser.post(f"{page}/json", data=form).text)["tokens"]
    assert len(held) > 5
    assert set(held) == {0}
