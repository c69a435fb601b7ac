"""The command line as a user meets it: a process with an environment, standard output and standard error."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import httpx
import psutil
import pytest
import uvicorn
from fastapi import FastAPI

from app.accounts import first_run
from app.cli import run
from app.core import console
from app.core.i18n import use_locale
from app.core.settings import Settings, get_settings
from tests.masking.conftest import trl_templates
from tests.support.processes import below, end, family_of
from tests.support.servers import free_port
from tests.support.tokenizers import smollm2_folder

__all__ = ["smollm2_folder", "trl_templates"]

ROOT = Path(__file__).parents[2]
FROM_HERE = (sys.executable, "-m", "app.cli")
_Found = TypeVar("_Found")
_OURS = ("SFT_STUDIO", "DATABASE_URL", "REDIS_URL", "LANG", "LC_")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line that tells of the failure; nothing may follow it, and no traceback may be there."""
        assert "Traceback" not in self.stderr, self.stderr
        lines = self.stderr.strip().splitlines()
        named = [line for line in lines if line.startswith("sft-studio: ")]
        assert len(named) == 1, self.stderr
        assert lines[-1] == named[0], self.stderr
        return named[0]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """A clean environment with its own data folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "PYTHONPATH": str(ROOT), "SFT_STUDIO_DATA": str(data_dir), "LANG": "en_US.UTF-8", **more}


def sft_studio(
    *arguments: str, data_dir: Path, timeout: float = 120, program: tuple[str, ...] = FROM_HERE, **more: str
) -> Outcome:
    """Run one command to its end."""
    done = subprocess.run(
        [*program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(data_dir, **more),
        check=False,
        cwd="/",
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def in_this_process(*arguments: str, data_dir: Path, **more: str) -> Outcome:
    """As `sft_studio`, many times faster: what a command says does not need a process of its own."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(data_dir, **more), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
        use_locale("en"),
    ):
        get_settings.cache_clear()
        console.stderr.cache_clear()
        code = run(list(arguments))
    get_settings.cache_clear()
    console.stderr.cache_clear()
    return Outcome(code, out.getvalue(), err.getvalue())


@dataclass
class LiveServer:
    """The web application on a real port, without workers."""

    url: str
    settings: Settings
    token: str

    def run(self, *arguments: str, **more: str) -> Outcome:
        """A command against this server."""
        return in_this_process(
            *arguments, data_dir=self.settings.data_dir, **{"SFT_STUDIO_URL": self.url, **more}
        )


@pytest.fixture
def live(app: FastAPI, settings: Settings) -> Iterator[LiveServer]:
    """A server without workers: what is queued stays queued."""
    settings.data_dir.mkdir(exist_ok=True)
    token = first_run.local_token(app.state.engine, settings.data_dir)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the web application starts")
    yield LiveServer(f"http://127.0.0.1:{port}", settings, token)
    server.should_exit = True
    thread.join(60)


def wait_until(true: Callable[[], _Found | None], what: str, seconds: float = 240.0) -> _Found:
    """Wait for something, and give it; a test that waits in vain says for what."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s in vain until {what}")


@dataclass
class Serving:
    """A real `sft-studio serve` with its workers."""

    process: subprocess.Popen[str]
    port: int
    data_dir: Path
    output: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """What it said so far."""
        return self.output.read_text(encoding="utf-8")

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=60, verify=False).status_code == 200
        except httpx.HTTPError:
            return False

    def running(self, module: str) -> list[psutil.Process]:
        """The processes below it that run this Python module."""
        return below(self.process.pid, module)

    def workers_ready(self) -> bool:
        """Whether both workers take jobs."""
        logs = [self.data_dir / "logs" / f"worker-{name}.log" for name in ("training", "default")]
        return all(log.is_file() and " ready." in log.read_text(errors="replace") for log in logs)

    def family(self) -> list[psutil.Process]:
        """The server and everything below it."""
        return family_of(self.process.pid)


@contextmanager
def serving(
    folder: Path, program: tuple[str, ...] = FROM_HERE, *, port: int | None = None, **more: str
) -> Iterator[Serving]:
    """`sft-studio serve` with its workers ready; whatever a test leaves of it is killed. `port`: of one that ran before."""
    data_dir, port = folder / "data", port or free_port()
    output = folder / "serve.txt"
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*program, "serve", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            text=True,
            env=environment(data_dir, **more),
            cwd=folder,
            start_new_session=True,
        )
    server = Serving(process, port, data_dir, output)
    started: list[psutil.Process] = []
    try:
        wait_until(lambda: process.poll() is not None or server.is_up(), "the server answers")
        assert process.poll() is None, server.said
        wait_until(server.workers_ready, "the workers are ready")
        started = server.family()
        yield server
    finally:
        end({*started, *(server.family() if process.poll() is None else [])})
        process.wait(60)
