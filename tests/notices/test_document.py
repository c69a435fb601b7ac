"""What the API's document says of webhooks is what they send: every event in every format, body and headers."""

from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from app.core.database import transaction
from app.core.storage import Storage
from app.evaluations.service import WHOLE, start_evaluation
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.notices.announcing import announce_ends
from app.notices.messages import Event
from app.notices.models import Format
from app.runs.service import require_run
from app.sentences import Failure
from tests.notices.conftest import Receiver, add, end, send_all
from tests.support.judged import finished_run, judged
from tests.support.people import Person
from tests.support.training import ENGINEER

pytestmark = pytest.mark.usefixtures("silent_bell")


def everything_sent(app: FastAPI, storage: Storage, engineer: Person) -> None:
    """An end of each kind, a gate that passes and some that cannot be judged; what is to be told of them is sent."""
    engine, settings = app.state.engine, app.state.settings
    first = end(app, storage, engineer)
    end(app, storage, engineer, JobState.FAILED, like=first)
    end(app, storage, engineer, JobState.CANCELLED, like=first)
    with transaction(engine) as session:
        run_id = finished_run(session, storage, like=first).id or 0
    judged(app, run_id=run_id)
    with transaction(engine) as session:
        announce_ends(session, settings)
        run = require_run(session, run_id)
        _evaluation, job = start_evaluation(session, storage, ENGINEER, run, "sales-zh", WHOLE)
        mine = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert mine is not None
        jobs.finish(session, mine, JobState.FAILED, failure=Failure.of("killed", "Killed"))
    with transaction(engine) as session:
        announce_ends(session, settings)
    send_all(app)


def test_every_event_in_every_format_is_as_the_document_says(
    app: FastAPI, admin: Person, engineer: Person, storage: Storage, receiver: Receiver
) -> None:
    document = admin.api.get("/api/v1/openapi.json").json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert set(document["webhooks"]) == {event.value for event in Event}
    secret = "whsec_" + "a" * 40
    for format in Format:
        events = [event.value for event in Event if event is not Event.TEST]
        webhook = add(
            admin,
            receiver,
            *events,
            format=format.value,
            secret=secret,
            gate_min="evaluated_held_out_loss=0.1",
        )
        admin.api.post(f"/api/v1/webhooks/{webhook}/test")
    everything_sent(app, storage, engineer)

    def fits(schema: dict[str, Any], body: Any) -> bool:
        whole = {**schema, "components": document["components"]}
        return Draft202012Validator(whole).is_valid(body)

    seen = set()
    for got, headers in zip(receiver.got, receiver.headers, strict=True):
        body = {name: value for name, value in got.items() if name not in ("id", "path")}
        operation = document["webhooks"][body.get("type", Event.TEST.value)]["post"]
        assert fits(operation["requestBody"]["content"]["application/json"]["schema"], body), body
        for parameter in operation["parameters"]:
            value: Any = {name.lower(): value for name, value in headers.items()}[parameter["name"]]
            value = int(value) if parameter["schema"].get("type") == "integer" else value
            assert fits(parameter["schema"], value), parameter
        if "type" not in body:
            continue
        # Its own schema takes it, that of no other event does, and nothing is sent that the schema does not name.
        own = [
            event for event in Event if fits({"$ref": "#/components/schemas/" + _name(document, event)}, body)
        ]
        assert own == [Event(body["type"])]
        schema = document["components"]["schemas"][_name(document, own[0])]
        assert set(body) == set(schema["properties"])
        assert set(body["data"]) == set(schema["properties"]["data"]["properties"])
        seen.add((body["type"], (body["data"]["gate"] or {}).get("passed")))
    assert {event for event, _passed in seen} == {event.value for event in Event}
    assert {("gate.judged", None), ("gate.judged", True)} <= seen


def _name(document: dict[str, Any], event: Event) -> str:
    body = document["webhooks"][event.value]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return str(body["anyOf"][0]["$ref"]).rpartition("/")[2]
