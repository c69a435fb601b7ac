"""`serve` with real processes: it starts, it stops, and nothing outlives it."""

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.accounts.first_run import read_local_token
from tests.cli.conftest import Serving, serving, sft_studio, wait_until
from tests.support import held_jobs
from tests.support.processes import all_gone

WORKER = "app.serving.worker_process"
# The command with another patience: a worker that died is started again after a moment, however often it did, and has always died young,
# however late it was killed.
HASTY = (
    sys.executable,
    "-c",
    "from app.serving import worker_pool; worker_pool.MAX_BACKOFF_SECONDS = 1.0; worker_pool.HEALTHY_SECONDS = float('inf'); "
    "from app.cli import main; main()",
)
pytestmark = pytest.mark.timeout(240)


@contextmanager
def _serving_a_job_without_end(folder: Path) -> Iterator[Serving]:
    """A server whose job is at work until it is told to stop, however quick the machine is."""
    (held := folder / "held").touch()
    with serving(folder, **held_jobs.environment_of(held, at="worker.work.preparing")) as server:
        yield server


def _prepare_the_bundled_model(server: Serving) -> tuple[httpx.Client, int]:
    """A client and the id of a job, once its child process runs."""
    token = read_local_token(server.data_dir)
    client = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=240)
    job_id: int = client.post("/api/v1/base-models", json={"source": "bundled"}).json()["job"]["id"]
    wait_until(lambda: server.running("worker.work.child"), "a job's child process runs")
    return client, job_id


def test_ctrl_c_stops_everything_with_a_stream_open_and_a_job_under_way(
    tmp_path: Path,
) -> None:
    with _serving_a_job_without_end(tmp_path) as server:
        assert re.search(r"/setup\?code=\S{10,}", server.said), "the first run shows where to make an account"
        client, job_id = _prepare_the_bundled_model(server)
        with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines)
            family = server.family()
            server.process.send_signal(signal.SIGINT)
            rest = list(lines)
            assert server.process.wait(60) == 0
        assert "event: end" not in rest, "the job had not ended"
        wait_until(lambda: all_gone(family), "every process is gone")
        assert server.said.rstrip().endswith("Stopped.")
        web_log = (server.data_dir / "logs" / "web.log").read_text()
        assert "timeout graceful shutdown exceeded" not in web_log, "the stream had to be cut off"


def test_when_the_server_is_killed_its_workers_and_their_children_end_by_themselves(
    tmp_path: Path,
) -> None:
    with _serving_a_job_without_end(tmp_path) as server:
        _prepare_the_bundled_model(server)
        family = server.family()
        assert len(server.running(WORKER)) == 2
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(60)
        wait_until(lambda: all_gone(family), "every process is gone")


def test_a_worker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        victim = server.running(WORKER)[0]
        victim.kill()
        wait_until(
            lambda: len(server.running(WORKER)) == 2 and victim not in server.running(WORKER),
            "two workers run again",
        )
        # What the server says comes through a pipe that a thread of this process reads.
        wait_until(lambda: "is started again" in server.said, "the server says so")


def test_workers_that_cannot_live_are_said_and_the_pages_stay(tmp_path: Path) -> None:
    with serving(tmp_path, HASTY) as server:
        while "again and again" not in server.said:
            for worker in server.running(WORKER):
                worker.kill()
            wait_until(lambda: server.running(WORKER) or "again and again" in server.said, "a worker runs")
        assert str(server.data_dir / "logs") in server.said
        assert server.is_up()
        wait_until(lambda: len(server.running(WORKER)) == 2, "both are tried again")
        assert server.is_up()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One that tests leave as it is."""
    with serving(tmp_path_factory.mktemp("serve")) as server:
        yield server


def test_a_port_in_use_is_named_with_the_way_out(server: Serving, tmp_path: Path) -> None:
    outcome = sft_studio("serve", "--port", str(server.port), data_dir=tmp_path / "other")
    assert outcome.code == 1
    assert f"Port {server.port}" in outcome.error
    assert f"--port {server.port + 1}" in outcome.error


def test_the_codes_of_sign_in_links_are_not_logged(server: Serving) -> None:
    httpx.get(f"{server.url}/setup?code=a-secret-code", timeout=60)
    log = server.data_dir / "logs" / "web.log"
    wait_until(lambda: "/setup" in log.read_text(), "the request is logged")
    assert "a-secret-code" not in log.read_text()
