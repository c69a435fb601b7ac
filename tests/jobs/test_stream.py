"""Server-sent events: complete, in order, resumable, ended by the job or by the server's shutdown."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from app.accounts.models import Role, Scope
from app.accounts.service import Actor, create_user
from app.accounts.sessions import actor_of_cookie, end_all, start_login
from app.accounts.tokens import actor_of_token, create_token, revoke_token
from app.accounts.who import Who
from app.core.database import transaction
from app.core.i18n import use_locale
from app.jobs import service
from app.jobs.models import JobKind, JobState
from app.jobs.stream import STREAMS_EACH, Streams, _events
from app.sentences import Failure, FailureCode
from tests.support.people import Person


def make_job(engine: Engine, *, metrics: int, ended: bool) -> int:
    with transaction(engine) as session:
        job = service.enqueue(session, JobKind.TRAIN, created_by=Who("Mei"))
        assert job.id is not None
        claim = service.claim(session, job.id, owner="w", lease_seconds=30)
        assert claim is not None
        events = [("metric", {"step": step, "loss": 2.0}) for step in range(1, metrics + 1)]
        service.heartbeat(session, claim, lease_seconds=30, events=events)
        if ended:
            service.finish(
                session,
                claim,
                JobState.FAILED,
                failure=Failure.of(FailureCode.VANISHED, "Lost at step %(step)d.", step=3),
            )
        return job.id


def parse(text: str) -> list[dict[str, Any]]:
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in lines:
            found.append({"id": lines["id"], "event": lines["event"], "data": json.loads(lines["data"])})
    return found


def test_an_ended_job_is_replayed_whole_and_the_stream_closes(app: FastAPI, annotator: Person) -> None:
    job_id = make_job(app.state.engine, metrics=1200, ended=True)
    response = annotator.browser.get(f"/api/v1/jobs/{job_id}/events")
    events = parse(response.text)
    assert [int(event["id"]) for event in events[:-1]] == list(range(1, 1204))
    assert events[-1]["event"] == "end"
    assert events[-2]["data"]["error"] == "Lost at step 3."
    assert events[-2]["data"]["error_code"] == "vanished"
    assert "failure" not in events[-2]["data"]


def test_a_reader_goes_on_after_the_last_event_it_saw(app: FastAPI, annotator: Person) -> None:
    job_id = make_job(app.state.engine, metrics=5, ended=True)
    url = f"/api/v1/jobs/{job_id}/events"
    for headers, query in (
        ({"Last-Event-ID": "6"}, ""),
        ({}, "?after=6"),
        ({"Last-Event-ID": "6"}, "?after=2"),
    ):
        events = parse(annotator.browser.get(url + query, headers=headers).text)
        assert [event["id"] for event in events] == ["7", "8", "8"]


def test_a_nonsense_last_event_id_replays_from_the_start(app: FastAPI, annotator: Person) -> None:
    job_id = make_job(app.state.engine, metrics=1, ended=True)
    for value in ("x", "-1", "²"):
        headers = {"Last-Event-ID": value.encode()}
        events = parse(annotator.browser.get(f"/api/v1/jobs/{job_id}/events", headers=headers).text)  # type: ignore[arg-type]
        assert events[0]["id"] == "1"


def reader(engine: Engine) -> Actor:
    """Somebody who is signed in."""
    with transaction(engine) as session:
        user = create_user(session, name="Ann", password_hash="", role=Role.ANNOTATOR)
        secret = start_login(session, user.id or 0, days=1)
        session.flush()
        found = actor_of_cookie(session, secret)
    assert found is not None
    return found


def test_events_that_come_while_listening_are_sent_and_shutdown_ends_the_stream(engine: Engine) -> None:
    job_id, ann = make_job(engine, metrics=1, ended=False), reader(engine)

    async def listen() -> list[str]:
        streams, seen = Streams(), list[str]()
        async for event in _events(engine, job_id, 0, streams, ann):
            seen.append(str(event.event))
            if len(seen) == 3:
                await asyncio.to_thread(add_event)
            if seen[-1] == "eval":
                streams.closing.set()
        return seen

    def add_event() -> None:
        with transaction(engine) as session:
            claim = service.Claim(job_id, 1, JobKind.TRAIN, {})
            service.heartbeat(
                session, claim, lease_seconds=30, events=[("eval", {"step": 1, "eval_loss": 2.0})]
            )

    assert asyncio.run(asyncio.wait_for(listen(), 120)) == ["state", "state", "metric", "eval"]


def test_a_job_of_the_api_tells_its_error_in_the_readers_language(app: FastAPI, annotator: Person) -> None:
    with transaction(app.state.engine) as session:
        job = service.enqueue(session, JobKind.TRAIN, created_by=Who("Mei"))
        assert job.id is not None
        claim = service.claim(session, job.id, owner="w", lease_seconds=30)
        assert claim is not None
        service.finish(
            session,
            claim,
            JobState.FAILED,
            failure=Failure.of(FailureCode.VANISHED, service.VANISHED, count=3),
        )
    english = annotator.api.get(f"/api/v1/jobs/{job.id}").json()
    chinese = annotator.api.get(f"/api/v1/jobs/{job.id}", headers={"Accept-Language": "zh-CN"}).json()
    assert english["error"].startswith("The worker vanished 3 times")
    assert english["error_code"] == "vanished"
    with use_locale("zh-CN"):
        assert chinese["error"] == job.error_text
    assert chinese["error"] != english["error"]


def test_listing_events_pages_by_sequence(app: FastAPI, annotator: Person) -> None:
    job_id = make_job(app.state.engine, metrics=3, ended=True)
    page = annotator.api.get(f"/api/v1/jobs/{job_id}/events/list?after=4").json()
    assert [event["seq"] for event in page["events"]] == [5, 6]
    assert page["last_seq"] == 6
    assert annotator.api.get(f"/api/v1/jobs/{job_id}/events/list?after=-1").status_code == 422
    assert annotator.api.get("/api/v1/jobs/999/events/list").status_code == 404


def test_only_engineers_stop_jobs(app: FastAPI, annotator: Person, engineer: Person) -> None:
    job_id = make_job(app.state.engine, metrics=0, ended=False)
    assert annotator.api.post(f"/api/v1/jobs/{job_id}/stop").status_code == 403
    assert engineer.api.post(f"/api/v1/jobs/{job_id}/stop?how=save").json()["status"] == "preparing"
    assert engineer.api.post(f"/api/v1/jobs/{job_id}/stop").json()["status"] == "cancelling"


@pytest.mark.parametrize("by", ["session", "token"])
def test_a_stream_ends_with_the_sign_in_or_the_token_that_it_was_asked_for_with(
    engine: Engine, by: str
) -> None:
    job_id, ann = make_job(engine, metrics=1, ended=False), reader(engine)
    with transaction(engine) as session:
        token, secret = create_token(session, ann, name="ci", scope=Scope.READ)
        bearer = actor_of_token(session, secret)
    assert bearer is not None

    def end() -> None:
        with transaction(engine) as session:
            if by == "session":
                end_all(session, ann.user_id)
            else:
                revoke_token(session, bearer, token.id or 0)

    async def listen() -> list[str]:
        seen = list[str]()
        async for event in _events(engine, job_id, 0, Streams(), ann if by == "session" else bearer):
            seen.append(str(event.event))
            if len(seen) == 3:
                await asyncio.to_thread(end)
        return seen

    assert asyncio.run(asyncio.wait_for(listen(), 120)) == ["state", "state", "metric"]


def test_a_person_follows_so_many_jobs_at_once_and_others_as_many(app: FastAPI, annotator: Person) -> None:
    job_id = make_job(app.state.engine, metrics=1, ended=True)
    streams: Streams = app.state.streams
    streams.open[annotator.actor.user_id] = STREAMS_EACH
    streams.open[0] = STREAMS_EACH
    url = f"/api/v1/jobs/{job_id}/events"
    refused = annotator.api.get(url)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert f"{STREAMS_EACH} jobs at the same time" in refused.json()["detail"]
    streams.open[annotator.actor.user_id] -= 1
    assert annotator.api.get(url).status_code == 200
    assert streams.open[annotator.actor.user_id] == STREAMS_EACH - 1, "one that ended is counted no more"
