"""Two web processes and two workers, each a process of its own, on PostgreSQL and Redis: a run outlives one of each."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import Engine

from app.accounts.first_run import read_local_token
from app.core.database import build_engine
from app.core.settings import Settings
from tests.cli.conftest import environment, sft_studio
from tests.support.command_lines import studio_commands
from tests.support.installation import UNTIL_STOPPED, Studio, end_lease, prepare
from tests.support.processes import all_gone, below, end, family_of
from tests.support.servers import free_port
from tests.support.small_runs import base_folder
from tests.support.workers import wait_until

pytestmark = [pytest.mark.model, pytest.mark.servers, pytest.mark.timeout(600)]
# As docker-compose.yml starts it.
WORKER = next(
    command for command in studio_commands() if command[0] == "worker" and "interactive" in command[-1]
)


@dataclass(frozen=True)
class Machines:
    """The processes of one installation, and the way to the second web process."""

    webs: list[psutil.Process]
    workers: list[psutil.Process]
    first: Studio
    second: Studio
    engine: Engine

    def end_lease(self, job_id: int) -> None:
        """As `InThisProcess.end_lease`."""
        end_lease(self.engine, job_id)


@contextmanager
def process(arguments: tuple[str, ...], data_dir: Path, log: Path, **more: str) -> Iterator[psutil.Process]:
    """One command of ours; neither it nor a child of it is left."""
    with log.open("wb") as output:
        started = psutil.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(data_dir, **more),
            cwd="/",
            start_new_session=True,
        )
    try:
        yield started
    finally:
        end(family_of(started))
        started.wait(60)


def answers(url: str) -> bool:
    """Whether a web process is ready there."""
    try:
        return httpx.get(f"{url}/healthz", timeout=60, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Machines]:
    """Two of each, ready."""
    data_dir = tmp_path / "data"
    more = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "SFT_STUDIO_MODEL_ROOTS": json.dumps([str(base_folder())]),
        "SFT_STUDIO_RECONCILE_SECONDS": "1",
        "OMP_NUM_THREADS": "1",
    }
    assert sft_studio("migrate", data_dir=data_dir, **more).code == 0
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    logs = [tmp_path / f"worker-{number}.log" for number in range(2)]
    with ExitStack() as stack:
        webs = []
        for port, url in zip(ports, urls, strict=True):
            command = ("web", "--port", str(port))
            webs.append(stack.enter_context(process(command, data_dir, tmp_path / f"web-{port}.log", **more)))
            # One after the other: the first makes the local token that both know.
            wait_until(lambda url=url: answers(url), timeout_seconds=240, what=f"{url} answers")  # type: ignore[misc]
        workers = [stack.enter_context(process(WORKER, data_dir, log, **more)) for log in logs]
        for log in logs:
            wait_until(
                lambda log=log: " ready." in log.read_text(),  # type: ignore[misc]
                timeout_seconds=240,
                what="a worker is ready",
            )
        token = {"Authorization": f"Bearer {read_local_token(data_dir)}"}
        clients = [
            stack.enter_context(httpx.Client(base_url=url, headers=token, timeout=120)) for url in urls
        ]
        settings = Settings(data_dir=data_dir)
        engine = build_engine(Settings(database_url=postgres_url).resolved_database_url)
        stack.callback(engine.dispose)
        yield Machines(webs, workers, Studio(settings, clients[0]), Studio(settings, clients[1]), engine)


def worker_of_the_run(machines: Machines) -> psutil.Process | None:
    """The worker below which a job's process runs."""
    return next((worker for worker in machines.workers if below(worker, "worker.work.child")), None)


def alive_workers(studio: Studio) -> int:
    """As the page of the queue counts them."""
    return sum(one["is_alive"] for one in studio.ok(studio.api.get("/api/v1/queue"))["workers"])


def newest_checkpoint(machines: Machines, job_id: int) -> int:
    """The step of the newest that the first attempt has written."""
    folders = machines.first.settings.storage_dir.glob(f"jobs/{job_id}/1/checkpoints/checkpoint-*")
    return max(int(folder.name.partition("-")[2]) for folder in folders)


def test_a_run_outlives_the_worker_that_does_it_and_the_web_process_that_took_it(
    machines: Machines,
) -> None:
    first, second = machines.first, machines.second
    check = first.check(first.version(12), prepare(first, base_folder()))
    run = first.start_run(
        check,
        **UNTIL_STOPPED,
        per_device_train_batch_size=2,
        logging_steps=1,
        save_steps=20,
        save_total_limit=2,
    )
    job_id = run["job"]["id"]
    # They wait: the two workers are on one machine, whose processor trains one run at a time.
    later = [first.start_run(check, max_steps=1)["job"] for _ in range(2)]
    first.ok(second.api.post(f"/api/v1/queue/jobs/{later[1]['id']}/move", json={"where": "top"}))
    # Seen through the other web process.
    second.wait_for_event(job_id, "checkpoint")
    seen = second.events(job_id)
    worker = worker_of_the_run(machines)
    assert worker is not None
    wait_until(lambda: alive_workers(second) == 2, timeout_seconds=240, what="both workers are at work")
    board = second.ok(second.api.get("/api/v1/queue"))
    assert [one["job"]["id"] for one in board["running"]] == [job_id]
    order = later[::-1]
    assert [one["job"]["id"] for one in board["waiting"]] == [job["id"] for job in order]
    lost = [machines.webs[0], worker, *worker.children(recursive=True)]
    # It no longer hears its job, which writes another checkpoint meanwhile: what was measured up to there is in no database.
    worker.suspend()
    # A process that nobody listens to stands still in the end: what counts is what was heard of, not what there is by now.
    known = max(event["step"] for event in second.events(job_id) if event["kind"] == "checkpoint")
    wait_until(
        lambda: newest_checkpoint(machines, job_id) > known,
        timeout_seconds=240,
        what="a checkpoint that nobody has heard of",
    )
    worker.kill()
    machines.webs[0].kill()
    wait_until(lambda: all_gone(lost), timeout_seconds=240, what="the end of what the lost ones had started")
    newest = newest_checkpoint(machines, job_id)
    machines.end_lease(job_id)
    second.wait_for_step(job_id, after=newest + 20)
    job = second.keep(run)
    assert job["attempt"] == 2
    events = second.events(job_id)
    assert events[: len(seen)] == seen
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["state"] for event in events if event["kind"] == "state"].count("succeeded") == 1
    assert set(range(1, second.steps_of(run) + 1)) <= set(second.steps_told(job_id))
    assert [other for other in machines.workers if not all_gone([other])] != []
    # What is left goes on working, in the order that was asked for, one run after the other: the one that lost its worker
    # kept its place.
    ended = [job, *(second.wait_for(one, "succeeded", 240) for one in order)]
    for before, after in pairwise(ended):
        assert before["finished_at"] <= after["started_at"]
    assert {one["device"] for one in ended} == {"cpu"}
