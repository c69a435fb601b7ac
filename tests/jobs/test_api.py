"""REST of jobs: their state and events, and who may stop whose."""

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.accounts.models import ApiToken, AuditEvent, Role
from app.accounts.who import Who
from app.core.database import transaction
from app.jobs import service
from app.jobs.models import JobKind
from tests.support.people import Person, make_person


@pytest.fixture
def job_id(app: FastAPI, annotator: Person, silent_bell: None) -> int:
    with transaction(app.state.engine) as session:
        job = service.enqueue(session, JobKind.CHECK_MASKS, created_by=annotator.actor.who)
        assert job.id is not None
        return job.id


def test_a_job_and_its_events_are_read_by_anybody_signed_in(reviewer: Person, job_id: int) -> None:
    shown = reviewer.api.get(f"/api/v1/jobs/{job_id}").json()
    assert (shown["id"], shown["state"], shown["error"]) == (job_id, "queued", None)
    events = reviewer.api.get(f"/api/v1/jobs/{job_id}/events/list").json()
    assert events["last_seq"] == len(events["events"]) == 1
    later = reviewer.api.get(f"/api/v1/jobs/{job_id}/events/list", params={"after": 1}).json()
    assert later == {"events": [], "last_seq": 1}
    assert reviewer.api.get("/api/v1/jobs/999").status_code == 404


def test_ones_own_job_may_be_stopped_and_anothers_by_an_engineer(
    annotator: Person, reviewer: Person, engineer: Person, job_id: int
) -> None:
    refused = reviewer.api.post(f"/api/v1/jobs/{job_id}/stop")
    assert refused.status_code == 403
    assert "somebody else" in refused.json()["detail"]
    assert engineer.api.post(f"/api/v1/jobs/{job_id}/stop").json()["state"] == "cancelled"


def test_one_stops_what_ones_token_started_and_nobody_stops_it_by_a_name(
    app: FastAPI, annotator: Person, silent_bell: None
) -> None:
    name = annotator.api.get("/api/v1/me").json()["name"]
    namesake = make_person(app, Role.ANNOTATOR, name)
    with transaction(app.state.engine) as session:
        found = session.exec(select(ApiToken).where(ApiToken.user_id == annotator.actor.user_id)).one()
        who = Who(name, annotator.actor.user_id, found.id)
        job = service.enqueue(session, JobKind.CHECK_MASKS, created_by=who)
        old = service.enqueue(session, JobKind.CHECK_MASKS, created_by=Who(name))
    assert (job.creator, job.creator.via) == (who, "token")
    for client in (namesake.api, namesake.browser):
        assert client.post(f"/api/v1/jobs/{job.id}/stop").status_code == 403
        assert client.post(f"/api/v1/jobs/{old.id}/stop").status_code == 403
    assert annotator.browser.post(f"/api/v1/jobs/{job.id}/stop").status_code == 200
    with transaction(app.state.engine) as session:
        line = session.exec(select(AuditEvent).where(AuditEvent.action == "job.cancel")).one()
        assert (line.actor, line.actor_user_id) == (annotator.actor.name, annotator.actor.user_id)
