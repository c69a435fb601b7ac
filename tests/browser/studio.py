"""A whole installation on a folder of its own: `serve` with its web server, broker and Celery workers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from app.accounts.first_run import new_sign_in_code, read_local_token
from tests.support import held_jobs
from tests.support.servers import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 240
STOP_SECONDS: Final = 120
# An outer PostgreSQL, Redis or language would make this another installation than the one meant.
_NOT_OURS: Final = ("DATABASE_URL", "REDIS_URL", "LANGUAGE", "LC_ALL", "LC_MESSAGES")


@dataclass(frozen=True)
class Studio:
    """A running installation."""

    url: str
    data_dir: Path
    terminal: Path
    # While this file is there, no job begins, or no run goes further than the step that stands in it.
    held: Path

    def let_go(self, step: int) -> None:
        """A run that is held goes as far as this step."""
        self.held.write_text(str(step))

    def setup_address(self) -> str:
        """Where the terminal says that the first account is made."""
        said = self.terminal.read_text(encoding="utf-8")
        found = re.search(r"http://\S+/setup\?code=\S+", said)
        assert found, f"the terminal named no address for the first account:\n{said}"
        return found.group()

    def sign_in_link(self) -> str:
        """A one-time link as the command line hands out."""
        return f"{self.url}/login/link?code={new_sign_in_code(self.data_dir)}"

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """REST as the command line of this machine."""
        headers = {"Authorization": f"Bearer {read_local_token(self.data_dir)}"}
        with httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60) as client:
            yield client

    def logs(self) -> str:
        """The end of every log: what one wants to read when a test failed."""
        files = [self.terminal, *sorted((self.data_dir / "logs").glob("*.log"))]
        return "\n".join(f"--- {file.name}\n{file.read_text(encoding='utf-8')[-4000:]}" for file in files)


@contextmanager
def running_studio(folder: Path, model_root: Path) -> Iterator[Studio]:
    """`serve` on a free port; everything it started is gone afterwards."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    environment |= {
        "SFT_STUDIO_DATA": str(folder / "data"),
        "SFT_STUDIO_MODEL_ROOTS": json.dumps([str(model_root)]),
        **held_jobs.environment_of(folder / "held"),
        "LANG": "C.UTF-8",
    }
    terminal = folder / "terminal.txt"
    with terminal.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    studio = Studio(f"http://127.0.0.1:{port}", folder / "data", terminal, folder / "held")
    try:
        _wait_until_ready(studio, process)
        yield studio
    finally:
        _stop(process)


def _wait_until_ready(studio: Studio, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while "/setup?code=" not in studio.terminal.read_text(encoding="utf-8"):
        assert process.poll() is None, f"serve ended with code {process.returncode}:\n{studio.logs()}"
        assert time.monotonic() < deadline, f"serve was not ready in {START_SECONDS} s:\n{studio.logs()}"
        time.sleep(0.2)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # The workers end by their lifeline when this process is gone.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        raise AssertionError(f"serve did not stop within {STOP_SECONDS} s of Ctrl-C") from None


def seed_dataset(studio: Studio, name: str, conversations: list[dict[str, Any]]) -> dict[str, Any]:
    """A dataset of these conversations, made through REST; its `id` and its conversations' `ids` in order."""
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in conversations)
    with studio.api() as api:
        dataset = api.post("/datasets", json={"name": name}).raise_for_status().json()
        path = f"/datasets/{dataset['id']}"
        api.post(f"{path}/imports", files={"file": ("seed.jsonl", lines.encode())}).raise_for_status()
        page = api.get(f"{path}/conversations").raise_for_status().json()
    return {"id": dataset["id"], "ids": [item["id"] for item in page["conversations"]]}
