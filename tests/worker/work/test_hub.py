"""A model hub on this machine, spoken to by the real client: what is fetched, what is told, what is refused."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.masking import ChatTokenizer, MaskSettings, preview
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work import doing
from worker.work.protocol import Control

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(__file__).resolve().parents[3]


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as fetching a public model takes. `served` collects the files sent."""

    def __init__(self, folder: Path, served: list[str], *args: Any) -> None:
        self.folder = folder
        self.served = served
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        url = urlsplit(unquote(self.path))
        parts = url.path.strip("/").split("/")
        if parts[:4] == ["api", "models", "org", "chat"]:
            if len(parts) > 5 and parts[5] not in {"main", COMMIT}:
                return self.refuse("RevisionNotFound")
            if parts[4:5] == ["tree"]:
                return self.json([self.entry(path) for path in self.files()])
            with_sizes = "blobs" in parse_qs(url.query)
            siblings = [
                {"rfilename": path.name, **({"size": path.stat().st_size} if with_sizes else {})}
                for path in self.files()
            ]
            return self.json({"id": "org/chat", "sha": COMMIT, "siblings": siblings})
        if parts[:4] == ["org", "chat", "resolve", COMMIT] and (self.folder / parts[4]).is_file():
            return self.file(self.folder / parts[4], body=body)
        return self.refuse("EntryNotFound" if parts[:2] == ["org", "chat"] else "RepoNotFound")

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    def entry(self, path: Path) -> dict[str, Any]:
        return {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": self.digest(path)}

    def digest(self, path: Path) -> str:
        return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()

    def json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def file(self, path: Path, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("ETag", f'"{self.digest(path)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.served.append(path.name)
            self.wfile.write(path.read_bytes())

    def refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def served() -> list[str]:
    return []


@pytest.fixture
def hub(small_model: Path, served: list[str]) -> Iterator[str]:
    """Address of a hub that has org/chat."""
    (small_model / "pytorch_model.bin").write_bytes(b"\x80\x04 a pickle")
    (small_model / "consolidated.safetensors").write_bytes(b"the same again for another library")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, small_model, served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetched(
    address: str,
    home: Path,
    reference: str = "org/chat",
    revision: str | None = None,
    *,
    tokenizer_only: bool = False,
) -> list[Any]:
    """The events of a child that prepares this model."""
    home.mkdir(exist_ok=True)
    job = home / "job.json"
    work = {"source": "hub", "reference": reference, "revision": revision, "tokenizer_only": tokenizer_only}
    job.write_text(json.dumps({"kind": "prepare_base_model", "input": work, "output_dir": str(home / "out")}))
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "worker.work.child", str(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(home / "log.txt").open("w"),
        env=environment,
        cwd=ROOT,
    ) as process:
        assert process.stdout
        return [json.loads(line) for line in process.stdout]


def test_a_hub_model_is_fetched_at_a_commit_and_the_bytes_are_told(
    hub: str,
    served: list[str],
    small_model: Path,
    tmp_path: Path,
) -> None:
    events = fetched(hub, tmp_path / "home")
    result = events[-1]
    assert result["event"] == "result", events[-1]
    assert result["revision"] == COMMIT
    assert (Path(result["path"]) / "model.safetensors").is_file()
    assert "model.safetensors" in served
    assert not {"pytorch_model.bin", "consolidated.safetensors"} & set(served)
    told = [event for event in events if event["event"] == "progress"]
    size = sum((small_model / name).stat().st_size for name in set(served))
    assert told[-1]["step"] == told[-1]["total_steps"] == size
    phases = [event["phase"] for event in events if event["event"] == "phase"]
    assert phases.index("downloading") < phases.index("loading_model", 1)


def test_what_is_here_already_needs_no_network(hub: str, served: list[str], tmp_path: Path) -> None:
    assert fetched(hub, tmp_path / "home", revision="main")[-1]["event"] == "result"
    before = list(served)
    again = fetched("http://127.0.0.1:9", tmp_path / "home", revision=COMMIT)
    assert again[-1]["event"] == "result", again[-1]
    assert served == before


@pytest.mark.parametrize(
    ("reference", "revision", "words"),
    [
        ("org/other", None, "The hub does not know org/other"),
        ("org/chat", "v9", "org/chat has no revision v9"),
    ],
)
def test_what_the_hub_does_not_have_is_said_by_name(
    hub: str, tmp_path: Path, reference: str, revision: str | None, words: str
) -> None:
    last = fetched(hub, tmp_path / "home", reference, revision)[-1]
    assert last["event"] == "failed"
    assert words in said(last)


def test_a_model_with_pickled_weights_only_is_refused_before_anything_is_fetched(
    hub: str,
    served: list[str],
    small_model: Path,
    tmp_path: Path,
) -> None:
    (small_model / "model.safetensors").unlink()
    last = fetched(hub, tmp_path / "home")[-1]
    assert "has no safetensors weights" in said(last)
    assert served == []


def test_the_tokenizer_alone_is_fetched_without_any_weights(
    hub: str, served: list[str], small_model: Path, tmp_path: Path
) -> None:
    events = fetched(hub, tmp_path / "home", tokenizer_only=True)
    result = events[-1]
    assert result["event"] == "result", result
    assert result["revision"] == COMMIT
    folder = Path(result["path"])
    assert {"tokenizer.json", "tokenizer_config.json"} <= {path.name for path in folder.iterdir()}
    assert not any(name.endswith((".safetensors", ".bin")) for name in served)
    # What a prepared model has does not depend on where it came from.
    local = {"source": "local", "reference": str(small_model)}
    for pickled in ("pytorch_model.bin", "consolidated.safetensors"):
        (small_model / pickled).unlink()
    whole = doing.prepare(local, tmp_path / "whole", Recorder(), Control())
    assert (folder / "tokenizer.json").read_bytes() == (Path(whole["path"]) / "tokenizer.json").read_bytes()
    messages = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    alone, other = (
        preview(ChatTokenizer.from_folder(one), messages, MaskSettings()) for one in (folder, whole["path"])
    )
    assert alone == other
    again = fetched("http://127.0.0.1:9", tmp_path / "home", revision=COMMIT, tokenizer_only=True)
    assert again[-1]["event"] == "result", again[-1]


def test_a_tokenizer_that_is_none_is_refused_in_one_sentence(
    hub: str, small_model: Path, tmp_path: Path
) -> None:
    (small_model / "tokenizer.json").write_text("{}")
    broken = fetched(hub, tmp_path / "home", tokenizer_only=True)[-1]
    assert broken["event"] == "failed"
    assert said(broken).startswith("The tokenizer of org/chat cannot be loaded: ")
    unknown = fetched(hub, tmp_path / "other", reference="org/typo", tokenizer_only=True)[-1]
    assert said(unknown).startswith("The hub does not know org/typo")
