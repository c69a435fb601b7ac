"""Ends are told once, to whoever asked and to the webhooks that want to know: signed, allowed hosts only, tried again."""

import socket
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.core.database import reading, transaction, utc_now
from app.core.errors import Invalid
from app.core.settings import Settings
from app.core.storage import Storage
from app.evaluations.service import WHOLE, start_evaluation
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.notices import sending
from app.notices.announcing import announce_ends
from app.notices.destinations import Unreachable, address_of, read_destination
from app.notices.models import Delivery, DeliveryState, Notice
from app.notices.sending import PAUSES_SECONDS
from app.runs.service import require_run
from app.sentences import Failure
from tests.notices.conftest import HangingReceiver, Receiver, add, end, send_all
from tests.support.judged import finished_run
from tests.support.people import Person, visible_text

pytestmark = pytest.mark.usefixtures("silent_bell")


def due_now(app: FastAPI) -> None:
    with transaction(app.state.engine) as session:
        for delivery in session.exec(select(Delivery)):
            delivery.next_at = utc_now() - timedelta(seconds=1)
            session.add(delivery)


def test_a_failed_run_is_told_in_a_message_that_its_receiver_can_check(
    app: FastAPI, admin: Person, engineer: Person, storage: Storage, receiver: Receiver
) -> None:
    webhook_id = add(admin, receiver, "run.failed")
    run_id = end(app, storage, engineer, JobState.FAILED)
    assert send_all(app) == 1
    assert send_all(app) == 0
    (told,) = receiver.got
    assert (told["type"], told["path"], told["data"]["run_id"]) == ("run.failed", "/hook?a=1", run_id)
    assert (told["data"]["error"], told["data"]["error_code"]) == ("Killed <b>", "killed")
    assert told["data"]["url"] == f"https://studio.example.com/runs/{run_id}"
    (sent,) = admin.api.get(f"/api/v1/webhooks/{webhook_id}/deliveries").json()
    assert (sent["state"], sent["status_code"], sent["attempts"], sent["message_id"]) == (
        "delivered",
        200,
        1,
        told["id"],
    )
    again = admin.api.post(f"/api/v1/webhooks/{webhook_id}/deliveries/{sent['id']}/again")
    assert again.status_code == 202
    send_all(app)
    assert [one["id"] for one in receiver.got] == [told["id"]] * 2
    page = visible_text(admin.browser.get("/webhooks").text)
    assert "Delivered" in page
    assert receiver.secret not in admin.browser.get("/webhooks").text
    assert engineer.browser.get("/webhooks").status_code == 403


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pauses before another attempt: none of them is over while a test goes on."""
    found = list(range(1, len(PAUSES_SECONDS) + 1))
    monkeypatch.setattr(sending, "PAUSES_SECONDS", tuple(3600 * count for count in found))
    return found


def test_a_receiver_that_refuses_is_tried_again_after_growing_pauses_and_given_up(
    app: FastAPI, admin: Person, receiver: Receiver, hours: list[int]
) -> None:
    webhook_id = add(admin, receiver, "run.failed")
    receiver.answer = 302
    assert admin.api.post(f"/api/v1/webhooks/{webhook_id}/test").status_code == 202
    pauses = []
    for _ in range(len(hours) + 2):
        due_now(app)
        send_all(app)
        with reading(app.state.engine) as session:
            sent = session.exec(select(Delivery)).one()
            pauses.append(round((sent.next_at - utc_now()) / timedelta(hours=1)))
    assert pauses[: len(hours)] == hours
    assert len(receiver.got) == len(hours) + 1
    assert sent.state is DeliveryState.FAILED
    (shown,) = admin.api.get(f"/api/v1/webhooks/{webhook_id}/deliveries").json()
    assert "302 and names another address, which is not followed" in shown["error"]
    assert admin.api.delete(f"/api/v1/webhooks/{webhook_id}").status_code == 204
    assert admin.api.get(f"/api/v1/webhooks/{webhook_id}/deliveries").status_code == 404


@pytest.mark.usefixtures("hours")
def test_what_waits_for_its_next_attempt_is_tried_at_once_when_somebody_says_so(
    app: FastAPI, admin: Person, receiver: Receiver
) -> None:
    webhook_id = add(admin, receiver, "run.failed", format="feishu")
    receiver.answer = 500
    page = f"/webhooks/{webhook_id}/deliveries"
    sent = admin.api.post(f"/api/v1/webhooks/{webhook_id}/test").json()
    again = f"/api/v1/webhooks/{webhook_id}/deliveries/{sent['id']}/again"
    assert admin.api.post(again).status_code == 409, "its first attempt is still to come"
    assert ("On its way" in visible_text(admin.browser.get(page).text)) is True
    assert send_all(app) == 1
    waits = admin.browser.get(page).text
    assert all(words in visible_text(waits) for words in ("Will be tried again", "answered 500", "Try now"))
    assert f'hx-get="{page}"' in waits, "whoever looks sees what comes of it"
    assert send_all(app) == 0
    receiver.answer = 200
    assert (
        admin.browser.post(f"/webhooks/{webhook_id}/again", data={"delivery": sent["id"]}).status_code == 303
    )
    assert send_all(app) == 1
    came = admin.browser.get(page).text
    assert ("Delivered" in visible_text(came), "hx-get" in came) == (True, False)
    whole = visible_text(admin.browser.get("/webhooks", headers={"Accept-Language": "zh-CN"}).text)
    assert "飞书" in whole
    assert "feishu" not in whole


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://evil.example.org/",
        "https://example.com:8443/",
        "https://a.example.com/",
        "https://localhost@evil.example.org/",
        "ftp://localhost/",
        "http://[",
        "//localhost",
    ],
)
def test_a_host_that_no_setting_names_is_refused_by_field(admin: Person, url: str) -> None:
    answer = admin.api.post("/api/v1/webhooks", json={"url": url, "events": ["run.failed"]})
    assert (answer.status_code, answer.json()["field"]) == (422, "url")


def test_allowed_hosts_are_called_at_public_addresses_only(settings: Settings) -> None:
    def address(url: str, **update: Any) -> str:
        changed = settings.model_copy(update=update)
        return address_of(read_destination(url, changed), changed)

    assert address("https://localhost/").startswith(("127.", "::1"))
    for url in ("http://10.1.2.3/", "https://[2001:db8::1]/"):
        with pytest.raises(Unreachable, match="which is not public"):
            address(url)
    assert address("http://10.1.2.3:9/", webhook_networks=(ip_network("10.1.0.0/16"),)) == "10.1.2.3"
    with pytest.raises(Unreachable, match="not public"):
        address("https://localhost/", webhook_networks=())
    assert read_destination("https://a.example.com:8443/x", settings).authority == "a.example.com:8443"
    with pytest.raises(Invalid, match="SFT_STUDIO_WEBHOOK_HOSTS"):
        read_destination("https://localhost/", settings.model_copy(update={"webhook_hosts": ()}))
    read = Settings(webhook_hosts="a.example.com, b.example.com", webhook_networks="10.0.0.0/8,::1/128")  # type: ignore[arg-type]
    assert (len(read.webhook_hosts), len(read.webhook_networks)) == (2, 2)


def test_a_gate_is_judged_when_the_last_end_comes_and_a_chat_program_gets_a_line(
    app: FastAPI, admin: Person, engineer: Person, storage: Storage, receiver: Receiver
) -> None:
    refused = admin.api.post("/api/v1/webhooks", json={"url": "http://localhost/", "events": ["gate.judged"]})
    assert (refused.status_code, refused.json()["field"]) == (422, "min")
    add(admin, receiver, "gate.judged", gate_max="held_out_loss=2.5", format="feishu")
    end(app, storage, engineer)
    assert send_all(app) == 1
    (told,) = receiver.got
    assert told["msg_type"] == "text"
    assert "could not be judged" in told["content"]["text"], "this run has no weights"
    assert "/runs/1/gate" in told["content"]["text"]


def test_the_form_keeps_what_was_typed_and_shows_the_secret_once(admin: Person, receiver: Receiver) -> None:
    typed = {"url": "https://evil.example.org/", "events": ["run.failed", "run.succeeded"], "format": "slack"}
    refused = admin.browser.post("/webhooks", data=typed)
    assert refused.status_code == 422
    assert "evil.example.org is not allowed" in visible_text(refused.text)
    assert 'value="https://evil.example.org/"' in refused.text
    assert "Address: the host evil.example.org is not allowed" in visible_text(refused.text)
    chinese = admin.browser.post("/webhooks", data=typed, headers={"Accept-Language": "zh-CN"})
    assert "地址：主机 evil.example.org 未被允许" in visible_text(chinese.text)
    assert "url：" not in chinese.text
    gate = {"url": "http://localhost/", "events": ["gate.judged"], "gate_min": "loss"}
    assert "Gate: at least wants metric=value with a number" in visible_text(
        admin.browser.post("/webhooks", data=gate).text
    )
    for wrong in ({"events": []}, {"secret": "short"}, {"events": ["gate.judged"]}):
        assert (
            admin.browser.post("/webhooks", data={**typed, "url": "http://localhost/", **wrong}).status_code
            == 422
        )
    assert admin.browser.post("/webhooks", data={**typed, "url": "http://localhost/"}).status_code == 303
    assert "whsec_" in admin.browser.get("/webhooks").text
    assert "whsec_" not in admin.browser.get("/webhooks").text


def test_why_there_was_no_answer_is_said_in_the_readers_language(
    app: FastAPI, admin: Person, hanging: HangingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = add(admin, hanging, "run.failed")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nobody = add(admin, port, "run.failed")
    admin.api.post(f"/api/v1/webhooks/{nobody}/test")
    assert send_all(app) == 1
    monkeypatch.setattr(sending, "TIME_LIMIT_SECONDS", 0.2)
    admin.api.post(f"/api/v1/webhooks/{silent}/test")
    assert send_all(app) == 1

    def why(webhook_id: int, language: str) -> str:
        sent = admin.api.get(
            f"/api/v1/webhooks/{webhook_id}/deliveries", headers={"Accept-Language": language}
        )
        return str(sent.json()[0]["error"])

    assert why(silent, "en").startswith("No answer within ")
    assert why(silent, "zh-CN").endswith("秒内没有应答。")
    assert why(nobody, "en").startswith("No connection to localhost: ")
    assert why(nobody, "zh-CN").startswith("无法连接 localhost：")


def test_an_evaluation_is_told_under_the_name_that_people_know_its_suite_by(
    app: FastAPI, admin: Person, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        run_id = finished_run(session, storage).id or 0
        _evaluation, job = start_evaluation(
            session, storage, engineer.actor, require_run(session, run_id), "sales-zh", WHOLE
        )
        mine = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert mine is not None
        jobs.finish(session, mine, JobState.FAILED, failure=Failure.of("killed", "Killed"))
    with transaction(app.state.engine) as session:
        announce_ends(session, app.state.settings)
    for language, title in (("en", "Sales conversations, Chinese"), ("zh-CN", "销售对话（中文）")):
        page = visible_text(engineer.browser.get("/notices", headers={"Accept-Language": language}).text)
        assert title in page
        assert "sales-zh" not in page


def test_whoever_started_it_hears_of_the_end_on_every_page(
    app: FastAPI, engineer: Person, reviewer: Person, storage: Storage
) -> None:
    assert "data-toast" not in engineer.browser.get("/notices/bell?after=0").text
    run_id = end(app, storage, engineer, JobState.FAILED)
    bell = engineer.browser.get("/notices/bell?after=0").text
    assert 'data-unread="1"' in bell
    assert f'data-toast="error" data-link-url="/runs/{run_id}"' in bell
    assert "data-toast" not in engineer.browser.get("/notices/bell").text, (
        "a page that has just come says nothing"
    )
    assert 'data-unread="0"' in reviewer.browser.get("/notices/bell").text
    shown = engineer.api.get("/api/v1/notices?unread=true").json()
    assert (shown["unread"], shown["notices"][0]["event"]) == (1, "run.failed")
    page = engineer.browser.get("/notices", headers={"Accept-Language": "zh-CN"}).text
    assert "失败" in visible_text(page)
    assert engineer.browser.post("/notices/read", headers={"HX-Request": "true"}).headers["HX-Trigger"]
    assert engineer.api.get("/api/v1/notices?unread=true").json() == {"unread": 0, "notices": []}
    with reading(app.state.engine) as session:
        assert len(session.exec(select(Notice)).all()) == 1
