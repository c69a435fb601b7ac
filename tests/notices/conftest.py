"""A program that is told, the settings that let it be, and ends to tell of."""

import base64
import hashlib
import hmac
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.notices.announcing import announce_ends
from app.notices.sending import send_next, webhooks_with_due
from app.sentences import Failure
from tests.support.people import Person
from tests.support.training import make_run, make_run_like


class Receiver(ThreadingHTTPServer):
    """A program that is told, as one would write it: it believes no message that it cannot check."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.got, self.secret = 200, list[dict[str, Any]](), ""
        self.headers = list[dict[str, str]]()

    def believes(self, headers: Any, body: bytes) -> bool:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        is_fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
        return is_fresh and hmac.compare_digest(wanted, headers["webhook-signature"])


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.server.believes(self.headers, body)
        self.server.headers.append(dict(self.headers.items()))
        self.server.got.append({"id": self.headers["webhook-id"], "path": self.path, **json.loads(body)})
        self.send_response(self.server.answer)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


class HangingReceiver(socketserver.ThreadingTCPServer):
    """Takes a connection and says nothing, until it is let go. `called` is set while somebody waits for its answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HangingHandler)
        self.called, self.let_go = threading.Event(), threading.Event()


class HangingHandler(socketserver.BaseRequestHandler):
    server: HangingReceiver

    def handle(self) -> None:
        self.server.called.set()
        self.server.let_go.wait(600)


@contextmanager
def served(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hanging() -> Iterator[HangingReceiver]:
    server = HangingReceiver()
    with served(server):
        yield server
        server.let_go.set()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    with served(server):
        yield server


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """This machine may be called, by its name alone."""
    return settings.model_copy(
        update={
            "webhook_hosts": ("localhost", "10.1.2.3", "*.example.com:8443", "[2001:db8::1]"),
            "webhook_networks": (ip_network("127.0.0.0/8"), ip_network("::1/128")),
            "public_url": "https://studio.example.com/",
        }
    )


def add(admin: Person, receiver: "Receiver | HangingReceiver | int", *events: str, **more: Any) -> int:
    """A webhook for a receiver, or for a port at which nobody listens."""
    port = receiver if isinstance(receiver, int) else receiver.server_address[1]
    url = f"http://localhost:{port}/hook?a=1"
    made = admin.api.post("/api/v1/webhooks", json={"url": url, "events": list(events), **more})
    assert made.status_code == 201, made.text
    if isinstance(receiver, Receiver):
        receiver.secret = made.json()["secret"]
    return int(made.json()["id"])


def send_all(app: FastAPI) -> int:
    """Everything that is due, to one webhook after the other. How many attempts that were."""
    engine, settings = app.state.engine, app.state.settings
    sent = 0
    for webhook_id in webhooks_with_due(engine):
        while send_next(engine, settings, webhook_id):
            sent += 1
    return sent


def end(
    app: FastAPI,
    storage: Storage,
    person: Person,
    state: JobState = JobState.SUCCEEDED,
    *,
    like: int | None = None,
) -> int:
    """A run of this person that has ended, and was announced; `like` another on the same mask check."""
    engine = app.state.engine
    with transaction(engine) as session:
        run, job = make_run(session, storage) if like is None else make_run_like(session, like)
        job.created_by_user_id = person.actor.user_id
        session.add(job)
        mine = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert mine is not None
        failure = Failure.of("killed", "Killed <b>") if state is JobState.FAILED else None
        jobs.finish(session, mine, state, result={}, failure=failure)
    with transaction(engine) as session:
        assert announce_ends(session, app.state.settings) == 1
    with transaction(engine) as session:
        assert announce_ends(session, app.state.settings) == 0, "nothing is told twice"
    return run.id or 0
