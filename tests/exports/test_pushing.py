"""Exports are pushed to a hub with a token that is kept nowhere; what stands against it is told, and what the hub refuses."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.database import transaction
from app.core.errors import StudioError
from app.core.settings import Settings, get_settings
from app.exports.hub import HubFailed
from app.exports.push_handler import PushExport
from app.exports.pushing import require_push
from app.exports.work import PushInput
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.sentences import FailureCode
from tests.cli.conftest import LiveServer, live
from tests.exports.test_exports import ask, run_id
from tests.support.exported import ADAPTER_FILES, do_export
from tests.support.people import Person, problem_of, visible_text
from tests.support.servers import free_port
from worker.work.exporting import push
from worker.work.protocol import Control, JobFailed

__all__ = ["live", "run_id"]
TOKEN = "hf_verysecrettoken"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The server has a token for a hub."""
    return settings.model_copy(update={"hub_token": SecretStr(TOKEN)})


class Hub(http.server.ThreadingHTTPServer):
    """How a hub answers whoever may not do what was asked: `refuses` by path and status, and repositories that are there are public."""

    def __init__(self, refuses: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.refuses, self.asked = refuses, list[tuple[str, str | None]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status = next((status for path, status in self.server.refuses.items() if path in self.path), 404)
        found: dict[str, Any] = {"error": "no"}
        if self.path.endswith("/repos/create") and status == 200:
            found = {"url": f"{self.server.url}/me/model"}
        elif self.path.endswith("/api/models/me/model") and status == 200:
            found = {"id": "me/model", "private": False}
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub({"/repos/create": 403})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def export_id(app: FastAPI, run_id: int, engineer: Person) -> int:
    """A finished one."""
    found = ask(engineer, run_id)
    do_export(app, found)
    return found


def test_a_push_is_asked_for_once_followed_cancelled_and_goes_with_its_export(
    app: FastAPI, run_id: int, export_id: int, engineer: Person, annotator: Person, settings: Settings
) -> None:
    place, post = f"/api/v1/exports/{export_id}", engineer.api.post
    asked = post(f"{place}/pushes", json={"repository": " team/calls "})
    assert asked.status_code == 202, asked.text
    told = asked.json()
    assert (told["repository"], told["private"], told["url"], told["job"]["state"]) == (
        "team/calls",
        True,
        None,
        "queued",
    )
    assert post(f"{place}/pushes", json={"repository": "team/calls"}).json() == told
    assert engineer.api.get(f"{place}/pushes").json() == [told]
    assert engineer.api.get(f"/api/v1/pushes/{told['id']}").json() == told
    assert annotator.api.post(f"{place}/pushes", json={"repository": "team/calls"}).status_code == 403
    for name in ("calls", "a/b/c", "../x", "a/..", "a--b/c", "me/model.git", "a b/c", "", "ü/c"):
        wrong = post(f"{place}/pushes", json={"repository": name})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "repository"), name
    assert "being pushed to a hub" in problem_of(engineer.api.delete(place))

    shown = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert "team/calls private · pushed by test engineer" in shown
    assert "Push to a model hub · adapter" not in shown
    queue = engineer.api.get("/api/v1/queue").json()
    assert [one["title"] for one in queue["waiting"]] == ["team/calls · LoRA adapter"]
    stop = f"/runs/{run_id}/exports/{export_id}/pushes/{told['id']}/stop"
    assert engineer.browser.post(stop.replace(f"exports/{export_id}", "exports/99")).status_code == 404
    assert "Cancelled" in visible_text(engineer.browser.post(stop, headers={"HX-Request": "true"}).text)
    assert post(f"/api/v1/pushes/{told['id']}/stop").status_code == 409

    again = engineer.browser.post(
        f"/runs/{run_id}/exports/{export_id}/push", data={"repository": "team/open", "public": "true"}
    )
    assert again.headers["location"] == f"/runs/{run_id}#exports"
    (open_one, _first) = engineer.api.get(f"{place}/pushes").json()
    assert (open_one["repository"], open_one["private"]) == ("team/open", False)
    assert post(f"/api/v1/pushes/{open_one['id']}/stop").json()["job"]["state"] == "cancelled"
    assert engineer.api.delete(place).status_code == 204
    assert engineer.api.get(f"/api/v1/pushes/{told['id']}").status_code == 404
    # Neither a row nor a file of the server holds the token.
    for path in settings.data_dir.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_what_may_not_leave_or_is_not_there_is_refused(
    app: FastAPI, run_id: int, export_id: int, engineer: Person
) -> None:
    waiting = ask(engineer, run_id)
    push_it = {"json": {"repository": "team/calls"}}
    assert "has no files" in problem_of(engineer.api.post(f"/api/v1/exports/{waiting}/pushes", **push_it))
    elsewhere = ask(engineer, run_id, "trl")
    with_data = engineer.api.post(f"/api/v1/exports/{elsewhere}/pushes", **push_it)
    assert (with_data.status_code, "could erase on a hub" in problem_of(with_data)) == (409, True)
    assert engineer.api.post("/api/v1/exports/99/pushes", **push_it).status_code == 404
    app.state.settings = app.state.settings.model_copy(update={"hub_token": SecretStr("")})
    nobody = engineer.api.post(f"/api/v1/exports/{export_id}/pushes", **push_it)
    assert (nobody.status_code, "SFT_STUDIO_HUB_TOKEN" in problem_of(nobody)) == (409, True)
    part = engineer.browser.get(f"/runs/{run_id}/exports", headers={"HX-Request": "true"}).text
    assert "SFT_STUDIO_HUB_TOKEN" in visible_text(part)
    assert "/push" not in part


def job_of(app: FastAPI, push_id: int) -> tuple[PushInput, Path]:
    """What a worker's child is told, and its folder."""
    with transaction(app.state.engine) as session:
        _push, job = require_push(session, push_id)
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        place = Workplace(app.state.settings, app.state.storage, f"jobs/{claim.job_id}/{claim.attempt}")
        return PushExport().child_input(session, place, claim), place.output_dir


def test_the_worker_tells_what_the_hub_refuses_and_never_the_token(
    app: FastAPI, export_id: int, engineer: Person, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = engineer.api.post(f"/api/v1/exports/{export_id}/pushes", json={"repository": "me/model"})
    told, folder = job_of(app, asked.json()["id"])
    assert {file.name for file in told.files} == {*ADAPTER_FILES, "sft_studio.json"}, "the card among them"
    assert TOKEN not in told.model_dump_json()
    events = list[tuple[str, Any]]()

    def refusal() -> StudioError | JobFailed:
        get_settings.cache_clear()
        with pytest.raises((StudioError, JobFailed)) as raised:
            push.run(told, folder, lambda kind, **more: events.append((kind, more)), Control())
        get_settings.cache_clear()
        assert TOKEN not in str(raised.value)
        return raised.value

    assert "names one in SFT_STUDIO_HUB_TOKEN" in str(refusal())
    monkeypatch.setenv("SFT_STUDIO_HUB_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    away = refusal()
    assert (away.code, "cannot be reached" in str(away)) == (FailureCode.HUB_UNREACHABLE, True)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    for status, says in (
        (403, "does not let this token write to me/model (status 403)"),
        (401, "(status 401)"),
        (500, "refused me/model with status 500"),
    ):
        hub.refuses = {"/repos/create": status}
        refused = refusal()
        assert (isinstance(refused, HubFailed), refused.code) == (True, FailureCode.HUB_REFUSED)
        assert says in str(refused)
    hub.refuses = {"/repos/create": 200, "/api/models/me/model": 200}
    assert "everybody sees it" in str(refusal()), "a private push never goes to a public repository"
    told.private = False
    hub.refuses = {"/preupload": 403, **hub.refuses}
    assert "does not let this token write" in str(refusal())
    assert {token for _path, token in hub.asked} == {f"Bearer {TOKEN}"}
    assert all(TOKEN not in path for path, _token in hub.asked)
    (Path(told.folder) / "README.md").write_text("# Another")
    assert "README.md is not what was made" in str(refusal())
    assert TOKEN not in str(events)


def test_a_push_is_asked_for_in_a_shell_too(live: LiveServer, export_id: int) -> None:
    asked = live.run("push", "--export", str(export_id), "--to", "team/calls", "--no-wait", "--json")
    assert (asked.json["repository"], asked.json["private"]) == ("team/calls", True)
    public = live.run(
        "push", "--export", str(export_id), "--to", "team/open", "--public", "--no-wait", "--json"
    )
    assert not public.json["private"]
    assert "owner/name" in live.run("push", "--export", str(export_id), "--to", "calls").error
    assert "There is no export 99" in live.run("push", "--export", "99", "--to", "a/b").error
