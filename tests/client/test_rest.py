"""Answers become the server's own models, whatever else a newer server says; what is missing is one sentence."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import ValidationError

from app.client.rest import StudioClient
from app.client.speaking import once, read_answer
from app.core.console import CommandFailed
from app.core.i18n import use_locale
from app.jobs.models import JobState
from app.recipe_book.schemas import RecipeOut
from app.recipes.recipes import build_config

JOB: dict[str, Any] = {
    "id": 3, "kind": "train", "state": "running", "status": "training", "phase": "training", "attempt": 1,
    "error": None, "error_code": None, "created_at": "2026-01-01T00:00:00Z", "started_at": None, "finished_at": None,
    "created_by": "mei", "created_by_user_id": 2, "created_by_token_id": None, "priority": "normal", "device_wanted": "any",
    "device": None,
}  # fmt: skip


@contextmanager
def answering(answer: Any, after: float = 0.0) -> Iterator[StudioClient]:
    """A client of a server that says the same to everybody, after so many seconds."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            time.sleep(after)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with StudioClient(f"http://127.0.0.1:{server.server_port}", "") as client:
            yield client
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def test_what_a_newer_server_adds_is_passed_over() -> None:
    with answering({**JOB, "mood": "good"}) as client:
        job = client.job(3)
    assert (job.id, job.state, job.state.is_final) == (3, JobState.RUNNING, False)


def test_what_a_newer_server_adds_to_strict_models_inside_is_passed_over_as_well() -> None:
    config = {**build_config("quick").model_dump(mode="json"), "sharpness": 11, "depth": {"a": 1}}
    recipe = read_answer(RecipeOut, {"name": "quick", "config": config, "new": True})
    assert recipe.config == build_config("quick")
    with pytest.raises(ValidationError):
        read_answer(RecipeOut, {"name": "quick", "config": {**config, "learning_rate": "fast"}})


@pytest.mark.parametrize(
    ("ask", "answer", "fault"),
    [
        (lambda client: client.job(3), {k: v for k, v in JOB.items() if k != "state"}, "state"),
        (lambda client: client.job(3), {**JOB, "state": "dreaming"}, "state"),
        (lambda client: client.job(3), [], "JSON"),
        (lambda client: client.events(3, 0), {"events": [{"kind": "phase"}], "last_seq": 1}, "events.0.seq"),
        (lambda client: client.datasets(), {"datasets": []}, "JSON"),
        (lambda client: client.suites(), [{"name": "sales-en"}], "kind"),
    ],
)
def test_what_another_version_leaves_out_is_one_sentence_in_both_languages(
    ask: Callable[[StudioClient], object], answer: Any, fault: str
) -> None:
    with answering(answer) as client:
        with pytest.raises(CommandFailed, match="answers otherwise than this program expects") as raised:
            ask(client)
        assert fault in str(raised.value) or "body" in str(raised.value)
        assert str(raised.value).endswith("install the server's version of sft-studio.")
        with use_locale("zh-CN"), pytest.raises(CommandFailed, match="两者版本可能不一致"):
            ask(client)


def test_an_event_keeps_the_fields_of_its_kind() -> None:
    event = {"seq": 4, "kind": "metric", "at": "2026-01-01T00:00:00Z", "step": 2, "loss": 1.5}
    with answering({"events": [event], "last_seq": 4}) as client:
        (found,) = client.events(3, 3)
    assert (found.seq, found.kind, found.payload) == (4, "metric", {"step": 2, "loss": 1.5})


def test_what_takes_the_longer_the_more_dialogues_there_are_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.client.speaking.ANSWER_SECONDS", 0.05)
    with answering({"changed": 13_000, "refused": []}, after=0.3) as client:
        assert client.review_drafts(1, "approved").changed == 13_000


@pytest.mark.parametrize("token", ["sft_…", "sft_a\nb", "“sft_ab”"])
def test_a_token_that_no_header_can_hold_is_refused_as_an_unknown_one(token: str) -> None:
    with pytest.raises(CommandFailed, match="does not know this token"):
        StudioClient("http://127.0.0.1:9", token)


def test_a_key_may_be_the_name_of_a_branch_in_any_script_and_on_one_line() -> None:
    assert once(" 训练/七 ") == {"Idempotency-Key": "训练/七".encode()}
    with pytest.raises(CommandFailed, match="one line"):
        once("a\r\nCookie: x")
