"""The web server killed while a file comes in and somebody watches a run."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil

from app.accounts.first_run import read_local_token
from app.jobs.events import STREAM_END
from tests.cli.conftest import environment
from tests.faults.studio import Told, end_of, start, wait_for_event
from tests.support.installation import SAMPLES, Studio
from tests.support.servers import free_port
from tests.support.workers import running_worker, wait_until

CONVERSATIONS = 2000


@contextmanager
def web_process(studio: Studio) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """`sft-studio web` on the studio's data folder, ready, and a client of it; killed when the block ends."""
    port, data_dir = free_port(), studio.settings.data_dir
    with (data_dir / "test-web.log").open("ab") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "app.cli", "web", f"--port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(data_dir),
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), timeout_seconds=240, what=f"{url} answers")
        token = {"Authorization": f"Bearer {read_local_token(data_dir)}"}
        with httpx.Client(base_url=url, headers=token, timeout=60) as client:
            yield process, client
    finally:
        process.kill()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=60).status_code == 200
    except httpx.HTTPError:
        return False


class Watcher(threading.Thread):
    """Somebody before the page of a run: the numbers of the events that arrived."""

    def __init__(self, client: httpx.Client, job_id: int, after: int = 0) -> None:
        super().__init__(daemon=True)
        self._client, self._job_id, self.seen = client, job_id, [*range(1, after + 1)]

    def run(self) -> None:
        """Until the stream ends, or its server."""
        last = {"Last-Event-ID": str(len(self.seen))}
        try:
            with self._client.stream("GET", f"/api/v1/jobs/{self._job_id}/events", headers=last) as lines:
                event: dict[str, str] = {}
                for line in lines.iter_lines():
                    if line:
                        name, _, value = line.partition(":")
                        event[name] = value.strip()
                    elif event:
                        # The end of the stream repeats the number of its last event.
                        if "id" in event and event.get("event") != STREAM_END:
                            self.seen.append(int(event["id"]))
                        event = {}
        except httpx.HTTPError:
            return


class Import(threading.Thread):
    """Somebody whose file comes in."""

    def __init__(self, client: httpx.Client, dataset_id: int) -> None:
        super().__init__(daemon=True)
        self._client, self._path, self.answer = client, f"/api/v1/datasets/{dataset_id}/imports", 0

    def run(self) -> None:
        """Until the answer, or its server's end."""
        first = json.loads((SAMPLES / "sales.en.jsonl").read_bytes().splitlines()[0])
        words = first["messages"][-1]["content"]
        lines = []
        for number in range(CONVERSATIONS):
            first["messages"][-1]["content"] = f"{words} {number}"
            lines.append(json.dumps(first))
        try:
            files = {"file": ("calls.jsonl", "\n".join(lines).encode())}
            self.answer = self._client.post(self._path, files=files).status_code
        except httpx.HTTPError:
            return


def kill_web(studio: Studio, check: dict[str, Any], dice: random.Random) -> list[Told]:
    """The run goes on, the file is in whole or not at all, and whoever watched sees every event once."""
    name = f"Coming in {dice.random()}"
    dataset = studio.ok(studio.api.post("/api/v1/datasets", json={"name": name}))["id"]
    with running_worker(studio.settings), web_process(studio) as (web, client):
        job = start(studio, check)
        wait_for_event(studio, job["id"], "metric")
        watcher, coming = Watcher(client, job["id"]), Import(client, dataset)
        watcher.start()
        coming.start()
        time.sleep(dice.uniform(0, 2))
        web.kill()
        coming.join(60)
        watcher.join(60)
        with web_process(studio) as (_again, other):
            again = Watcher(other, job["id"], after=len(watcher.seen))
            again.start()
            told = end_of(studio, job["id"])
            again.join(60)
            held = other.get(f"/api/v1/datasets/{dataset}/conversations").json()["total"]
    assert watcher.seen == list(range(1, len(watcher.seen) + 1)), watcher.seen
    assert again.seen == list(range(1, len(studio.events(job["id"])) + 1)), again.seen
    assert held in ({CONVERSATIONS} if coming.answer == 201 else {0, CONVERSATIONS}), (held, coming.answer)
    return [
        Told(
            **{
                **vars(told),
                "figures": {"files in": held // CONVERSATIONS, "events before": len(watcher.seen)},
            }
        )
    ]
