"""`export --run`: files made by the server arrive whole in a folder, or none does; a hub that refuses is told before the work."""

import asyncio
import http.server
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from sqlmodel import select

from app.core.database import transaction
from app.exports.models import RunExport
from tests.cli.conftest import LiveServer, wait_until
from tests.support.exported import ADAPTER_FILES, do_export, run_with_adapter
from tests.support.servers import free_port


@pytest.fixture
def run_id(app: FastAPI, silent_bell: None) -> int:
    """A finished run with an adapter."""
    return run_with_adapter(app)


@pytest.fixture
def worker(app: FastAPI) -> Iterator[None]:
    """Does the first export that is asked for."""

    def work() -> None:
        while not done.wait(0.05):
            with transaction(app.state.engine) as session:
                found = session.exec(select(RunExport.id)).first()
            if found is not None:
                do_export(app, found)
                return

    done = threading.Event()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    done.set()
    thread.join(60)


def test_the_files_arrive_with_their_hashes_and_nothing_is_replaced(
    live: LiveServer, run_id: int, worker: None, tmp_path: Path
) -> None:
    out = tmp_path / "there"
    arguments = ("export", "--run", str(run_id), "--as", "adapter", "--out", str(out), "--json")
    done = live.run(*arguments)
    assert done.code == 0, done.stderr
    assert {file["path"] for file in done.json["files"]} >= {str(out / name) for name in ADAPTER_FILES}
    weights = out / "adapter_model.safetensors"
    assert weights.read_bytes() == ADAPTER_FILES[weights.name]
    assert (out / "additional_chat_templates" / "tools.jinja").is_file()
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    assert "each checked by its hash" in done.stderr
    # What is there is said before anything is made again, and what was made is fetched as it is.
    again = live.run(*arguments)
    assert "sft_studio.json is already there. Name another folder" in again.error
    (kept,) = live.run("exports", "list", "--run", str(run_id), "--json").json
    export_id = str(kept["id"])
    assert (kept["id"], kept["files"]) == (done.json["id"], _without_paths(done.json["files"]))
    assert "adapter" in live.run("exports", "list", "--run", str(run_id)).stdout
    other = tmp_path / "other"
    fetched = live.run("exports", "fetch", export_id, "--out", str(other))
    assert fetched.code == 0, fetched.stderr
    assert (other / weights.name).read_bytes() == ADAPTER_FILES[weights.name]
    assert live.run("exports", "stop", export_id).code != 0
    assert live.run("exports", "delete", export_id).code == 0
    assert "There is no export" in live.run("exports", "fetch", export_id, "--out", str(other)).error


def _without_paths(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in file.items() if name != "path"} for file in files]


class StopsOnce:
    """The application behind a web server that is restarted after so many bytes of a file were sent."""

    def __init__(self, app: FastAPI, after: int) -> None:
        self.app, self.after, self.parts = app, after, list[str]()
        self.port, self.stopped = free_port(), False
        self.server = self._made()
        self.threads = [threading.Thread(target=self._serve, daemon=True)]
        self.threads[0].start()

    def _made(self) -> uvicorn.Server:
        config = uvicorn.Config(self, port=self.port, log_level="critical", lifespan="off")
        return uvicorn.Server(config)

    def _serve(self) -> None:
        self.server.run()
        if self.stopped and len(self.threads) == 1:
            self.server = self._made()
            self.threads.append(threading.Thread(target=self._serve, daemon=True))
            self.threads[1].start()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_file = scope["type"] == "http" and scope["path"].endswith("/content")
        sent = 0
        if is_file:
            self.parts.append(dict(scope["headers"]).get(b"range", b"").decode())

        async def counted(message: Any) -> None:
            nonlocal sent
            await send(message)
            sent += len(message.get("body", b""))
            if is_file and sent > self.after and not self.stopped:
                self.stopped = self.server.should_exit = self.server.force_exit = True
                await asyncio.sleep(60)

        await self.app(scope, receive, counted)

    def close(self) -> None:
        self.server.should_exit = True
        for thread in self.threads:
            thread.join(60)


def test_a_server_that_restarts_while_a_file_is_fetched_goes_on_with_it(
    app: FastAPI, live: LiveServer, run_id: int, worker: None, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(20 << 20)
    with app.state.storage.write("jobs/9/1/adapter/adapter_model.safetensors") as file:
        file.write(content)
    server, out = StopsOnce(app, 5 << 20), tmp_path / "there"
    try:
        wait_until(lambda: server.server.started, "the second server answers")
        url = f"http://127.0.0.1:{server.port}"
        done = live.run("export", "--run", str(run_id), "--as", "adapter", "--out", str(out), "--url", url)
    finally:
        server.close()
    assert done.code == 0, done.stderr
    assert "trying again" in done.stderr
    assert (out / "adapter_model.safetensors").read_bytes() == content
    (gone_on,) = (part for part in server.parts if part)
    assert 0 < int(gone_on.removeprefix("bytes=").removesuffix("-")) < len(content)


def test_what_does_not_go_together_is_refused(live: LiveServer, run_id: int, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "o"))
    for arguments, says in (
        (("--as", "adapter"), "Name a dataset with --dataset, or a run with --run"),
        (("--as", "csv", "--run", "1"), "Use one of: adapter, merged"),
        (("--as", "adapter", "--run", "1", "--version", "2"), "go with --dataset"),
        (("--as", "csv", "--dataset", "A", "--push", "a/b"), "go with --run"),
        (("--as", "adapter", "--run", "1", "--set", "x"), "--set wants key=value"),
    ):
        refused = live.run("export", *arguments, *out)
        assert refused.code != 0
        assert says in refused.error
    unknown = live.run("export", "--run", "99", "--as", "adapter", *out)
    assert "There is no run 99" in unknown.error
    assert not (tmp_path / "o").exists()


class Refusing(http.server.BaseHTTPRequestHandler):
    """A hub that lets nobody write."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"error": "no"}).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


def test_a_hub_that_is_away_or_refuses_is_told_before_the_work(
    app: FastAPI, live: LiveServer, run_id: int, tmp_path: Path
) -> None:
    secret = "hf_verysecrettoken"
    arguments = ("export", "--run", str(run_id), "--as", "adapter", "--out", str(tmp_path / "o"), "--push")
    away = f"http://127.0.0.1:{free_port()}"
    nobody = live.run(
        *arguments, "me/model", HF_TOKEN="", HF_TOKEN_PATH=str(tmp_path / "none"), HF_ENDPOINT=away
    )
    assert "Pushing needs your token" in nobody.error
    refused = live.run(*arguments, "me/model", HF_TOKEN=secret, HF_ENDPOINT=away)
    assert f"The hub at {away} cannot be reached" in refused.error
    assert "is not a hub id" in live.run(*arguments, "me/../model", HF_TOKEN=secret, HF_ENDPOINT=away).error
    server = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    here = f"http://127.0.0.1:{server.server_address[1]}"
    forbidden = live.run(*arguments, "me/model", HF_TOKEN=secret, HF_ENDPOINT=here)
    server.shutdown()
    thread.join(60)
    assert "does not let this token write to me/model (status 403)" in forbidden.error
    assert secret not in refused.stderr + forbidden.stderr
    with transaction(app.state.engine) as session:
        assert session.exec(select(RunExport)).first() is None
