"""`sft-studio notices` and `sft-studio webhooks`: what ended is heard of in a shell, and other programs are told."""

import pytest
from fastapi import FastAPI

from app.core.storage import Storage
from app.jobs.models import JobState
from tests.cli.conftest import LiveServer
from tests.notices.conftest import Receiver, end, receiver, send_all, settings
from tests.support.people import Person

__all__ = ["receiver", "settings"]
pytestmark = pytest.mark.usefixtures("silent_bell")


def test_what_ended_is_listed_until_it_was_read_as_pages_and_rest_do(
    app: FastAPI, live: LiveServer, engineer: Person, reviewer: Person, storage: Storage
) -> None:
    def mine(person: Person) -> dict[str, str]:
        return {"SFT_STUDIO_TOKEN": person.api.headers["Authorization"].removeprefix("Bearer ")}

    first = end(app, storage, engineer, JobState.FAILED)
    end(app, storage, engineer, like=first)
    shown = live.run("notices", "list", "--json", **mine(engineer)).json
    assert shown == engineer.api.get("/api/v1/notices").json()
    assert (shown["unread"], [one["event"] for one in shown["notices"]]) == (
        2,
        ["run.succeeded", "run.failed"],
    )
    newest = live.run("notices", "list", "--unread", "--limit", "1", **mine(engineer)).stdout
    assert "succeeded." in newest
    assert "failed." not in newest
    assert "失败" in live.run("notices", "list", LANG="zh_CN.UTF-8", **mine(engineer)).stdout
    assert live.run("notices", "list", "--json", **mine(reviewer)).json == {"unread": 0, "notices": []}

    assert live.run("notices", "read", **mine(reviewer)).code == 0
    assert 'data-unread="2"' in engineer.browser.get("/notices/bell").text
    assert live.run("notices", "read", **mine(engineer)).code == 0
    assert 'data-unread="0"' in engineer.browser.get("/notices/bell").text
    assert live.run("notices", "list", "--unread", "--json", **mine(engineer)).json["notices"] == []
    assert "--limit" in live.run("notices", "list", "--limit", "0").error


def test_a_webhook_is_added_tried_followed_and_removed_in_a_shell(
    app: FastAPI, live: LiveServer, receiver: Receiver
) -> None:
    url = f"http://localhost:{receiver.server_port}/hook"
    refused = live.run("webhooks", "add", "https://evil.example.org/", "--event", "run.failed")
    assert "evil.example.org is not allowed" in refused.error
    assert "must be one of: run.succeeded" in live.run("webhooks", "add", url, "--event", "run.ended").error
    made = live.run("webhooks", "add", url, "--event", "run.failed", "--format", "slack")
    receiver.secret, number = made.stdout.strip(), "1"
    assert receiver.secret not in live.run("webhooks", "list").stdout
    (sent,) = live.run("webhooks", "test", number, "--json").json
    assert send_all(app) == 1
    assert receiver.got[0]["text"].startswith("A test from SFT Studio.")
    (delivered,) = live.run("webhooks", "deliveries", number, "--json").json
    assert (delivered["id"], delivered["state"]) == (sent["id"], "delivered")
    assert live.run("webhooks", "again", number, str(sent["id"])).code == 0
    assert live.run("webhooks", "remove", number).code == 0
    assert live.run("webhooks", "list", "--json").json == []
