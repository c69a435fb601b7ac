"""The demo's terminal, its port, and the ways it can end."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import psutil
import pytest
import uvicorn
from fastapi import FastAPI
from rich.console import Console

from app.accounts import first_run
from app.cli.demo import view as demo_view
from app.cli.demo.server import DemoServer, choose_port, running_client
from app.cli.demo.view import DemoView, LossCurve
from app.core import console
from app.core.settings import Settings
from app.jobs.schemas import EventOut
from app.serving import preflight
from tests.cli.conftest import environment, serving, wait_until
from tests.support import held_jobs
from tests.support.processes import all_gone, below, end, family_of
from tests.support.servers import free_port


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 100 × 40 characters that keeps what it shows."""
    screen = Console(force_terminal=True, width=100, height=40, record=True, stderr=True)
    for module in (console, demo_view):
        monkeypatch.setattr(module, "stderr", lambda: screen)
    return screen


def _event(kind: str, **payload: object) -> EventOut:
    return EventOut.model_validate({"seq": 1, "kind": kind, "at": "2026-01-01T00:00:00Z", **payload})


def _metric(step: int, loss: float) -> EventOut:
    return _event("metric", step=step, loss=loss)


def _tell(view: DemoView) -> None:
    view.begin(0)
    view.event(_event("phase", phase="training"))
    for step in range(1, 21):
        view.event(_event("progress", step=step, total_steps=20, eta_seconds=20.0 - step))
        view.event(_metric(step, 4 / step))
    view.event(_event("eval", step=20, eval_loss=1.5))


def test_in_a_terminal_the_curve_and_the_progress_are_drawn(terminal: Console) -> None:
    with DemoView(["Training", "Evaluation"]) as view:
        _tell(view)
        with terminal.capture() as capture:
            terminal.print(view._render())
        shown = capture.get()
        view.end("done well")
    assert "20/20" in shown
    assert "held-out loss" in shown
    assert any("⠀" < char <= "⣿" for char in shown), "the curve is drawn in dots"
    ended = terminal.export_text()
    assert "✓" in ended
    assert "done well" in ended


def test_without_a_terminal_it_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console.stderr.cache_clear()
    with DemoView(["Training", "Evaluation"]) as view:
        _tell(view)
        view.end("done well")
    said = capsys.readouterr().err
    assert said.startswith("[1/2] Training")
    assert "held-out loss 1.5000" in said
    assert "done well" in said
    assert "\x1b" not in said
    console.stderr.cache_clear()


def test_a_curve_of_one_point_or_none_can_be_drawn() -> None:
    curve = LossCurve()
    assert curve.render(60).plain.strip()
    curve.add(_metric(1, 2.5))
    curve.add(_event("metric", step=2, loss=None))
    assert curve.render(60).plain.strip()
    assert curve.train == [(1, 2.5)]


def test_an_attempt_that_goes_on_from_a_checkpoint_takes_back_what_the_lost_one_told(
    terminal: Console,
) -> None:
    with DemoView(["Training"]) as view:
        _tell(view)
        view.event(_event("restored", step=5))
        with terminal.capture() as capture:
            terminal.print(view._render())
        view.end("done well")
    assert "5/20" in capture.get()
    assert "1.5000" not in capture.get()
    assert (view.curve.train[-1][0], view.curve.held_out) == (5, [])


def test_a_port_in_use_gives_the_next_free_one_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    console.stderr.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = choose_port(port)
    assert chosen > port
    said = capsys.readouterr().err
    assert str(port) in said
    assert str(chosen) in said
    console.stderr.cache_clear()


def _start_demo(data_dir: Path, *arguments: str, port: int, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "demo", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(data_dir, SFT_STUDIO_PORT=str(port), **more),
        start_new_session=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_a_demo_is_ended_nothing_outlives_it(tmp_path: Path, number: signal.Signals) -> None:
    # It is at its first job until it is ended, however quick the machine is.
    (held := tmp_path / "held").touch()
    hold = held_jobs.environment_of(held, at="worker.work.preparing")
    demo = _start_demo(tmp_path / "data", port=free_port(), **hold)
    family: list[psutil.Process] = []
    try:
        wait_until(lambda: below(demo.pid, "worker.work.child"), "the first job's child process runs")
        family = family_of(demo.pid)
        assert len(family) >= 4, "demo, server, two workers"
        demo.send_signal(number)
        _out, said = demo.communicate(timeout=120)
        wait_until(lambda: all_gone(family), "every process is gone")
        assert demo.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
        assert "Traceback" not in said
    finally:
        end(family or family_of(demo.pid))


def test_a_demo_beside_a_running_server_uses_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        demo = _start_demo(server.data_dir, "--oneshot", port=server.port)
        assert demo.stderr is not None
        first = demo.stderr.readline()
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=120)
        assert server.url in first
        assert server.is_up(), "the server is not the demo's to stop"


@pytest.fixture
def late(app: FastAPI, settings: Settings) -> Iterator[tuple[int, Callable[[], None]]]:
    """A port that takes connections, and what then prepares the database and answers, as `serve` does."""
    settings.data_dir.mkdir(exist_ok=True)
    port = free_port()
    listening = preflight.claim_port("127.0.0.1", port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)

    def start() -> None:
        first_run.local_token(app.state.engine, settings.data_dir)
        thread.start()

    yield port, start
    server.should_exit = True
    thread.join(60)
    listening.close()


@pytest.mark.parametrize("door", ["its own server", "a server that runs"])
def test_a_token_of_an_older_database_is_not_used(
    settings: Settings, late: tuple[int, Callable[[], None]], door: str
) -> None:
    port, start = late
    (settings.data_dir / "local-token").write_text("sft_of_a_database_that_is_gone")
    settings = settings.model_copy(update={"port": port})
    server = DemoServer(settings, port)
    server._process = mock.Mock(poll=lambda: None)  # alive
    threading.Timer(0.7, start).start()
    client = server.wait_until_ready() if door == "its own server" else running_client(settings)
    assert client is not None
    with client:
        assert client.datasets() == []
