"""Several workers on one PostgreSQL and one Redis: what was handed over ends as what nobody disturbed, to the last bit."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
from sqlmodel import select

from app.core.database import reading
from app.core.settings import Settings
from app.jobs.models import Job, JobEvent
from app.recipes.mixing import CURRICULUM
from app.runs.preflight.items import Name
from tests.faults.places import OnServers
from tests.faults.studio import PATIENCE_SECONDS, Told, child_of, end_of, patient
from tests.support import held_jobs
from tests.support.installation import InThisProcess
from tests.support.processes import all_gone
from tests.support.workers import running_worker, wait_until

Check = dict[str, Any]
STEPS = 60
# Of a curriculum the first 24 steps are the second dataset's. The best rate is none of the sweep's ends.
OFTEN: dict[str, Any] = {
    "max_steps": STEPS,
    "mix_share": 0.4,
    "mix_order": CURRICULUM,
    "lora_dropout": 0.1,
    "logging_steps": 1,
    "eval_steps": 10,
    "save_steps": 5,
    "save_total_limit": 3,
}
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
# Longer than a lease.
_AWAY_SECONDS = 8.0
_MEASURED = ("loss", "grad_norm", "learning_rate", "eval_loss", "mixed_loss")


class Crew:
    """Workers of which any may be killed and another take its place."""

    def __init__(self, settings: Settings, stack: ExitStack, environment: dict[str, str]) -> None:
        self._settings, self._stack, self._environment = settings, stack, environment

    def hire(self) -> None:
        """One more."""
        self._stack.enter_context(running_worker(self._settings, **self._environment))

    def kill(self, pid: int) -> None:
        """With no time for a word; another one comes."""
        psutil.Process(pid).kill()
        self.hire()


@contextmanager
def crew_of(settings: Settings, workers: int = 2, **environment: str) -> Iterator[Crew]:
    """So many workers, and later those in place of killed ones."""
    with ExitStack() as stack:
        crew = Crew(settings, stack, environment)
        for _ in range(workers):
            crew.hire()
        yield crew


def hand_over_curriculum(studio: OnServers, check: Check, dice: random.Random) -> list[Told]:
    """The worker is killed while the second dataset is trained, and the next one while the domain is."""
    held = studio.settings.data_dir / "held"
    with crew_of(patient(studio), **held_jobs.environment_of(held)) as crew:
        mixed_in = _second_dataset(studio, check, dice)
        alone = studio.start_run(check, mixed_in, **OFTEN)
        expected = [end_of(studio, alone["job"]["id"])]
        steps = (dice.randint(6, 20), dice.randint(30, 45))
        held.write_text(str(steps[0]))
        run = studio.start_run(check, mixed_in, **OFTEN)
        job_id = run["job"]["id"]
        for attempt, step in enumerate(steps, start=1):
            wait_for_step(studio, job_id, step)
            child = child_of(worker := owner_of(studio, job_id, attempt))
            crew.kill(worker)
            # It finds out that its worker is gone, and ends.
            wait_until(
                lambda child=child: all_gone([child]), timeout_seconds=PATIENCE_SECONDS, what="its end"
            )
            held.write_text(str(steps[1])) if attempt == 1 else held.unlink()
            studio.end_lease(job_id)
        told = [*expected, end_of(studio, job_id)]
    assert [one.attempt for one in told] == [1, 3], told
    require_same_curve(studio, alone["job"]["id"], job_id)
    results = [studio.ok(studio.api.get(f"/api/v1/runs/{one['id']}"))["result"] for one in (alone, run)]
    own = {"peak_memory_bytes": 0}
    assert {**results[0], **own} == {**results[1], **own}
    return told


def disturb_sweep(studio: OnServers, check: Check, dice: random.Random) -> list[Told]:
    """Two workers share a sweep. Its last run is put first, a worker is killed, both servers go away for longer than a lease."""
    with crew_of(studio.settings) as crew:
        mixed_in = _second_dataset(studio, check, dice)
        expected = _sweep(studio, check, mixed_in)
        told = [end_of(studio, job_id) for job_id in expected]
        jobs = _sweep(studio, check, mixed_in)
        wait_for_step(studio, jobs[0], 2)
        wait_for_step(studio, jobs[1], 2)
        for way, body in (("move", {"where": "top"}), ("priority", {"priority": "high"})):
            studio.ok(studio.api.post(f"/api/v1/queue/jobs/{jobs[3]}/{way}", json=body))
        crew.kill(owner_of(studio, jobs[dice.randrange(2)]))
        time.sleep(dice.uniform(0, 2))
        studio.redis.stop()
        studio.postgres.stop()
        time.sleep(_AWAY_SECONDS)
        studio.redis.start()
        studio.postgres.start()
        told += [end_of(studio, job_id) for job_id in jobs]
    for alone, disturbed in zip(expected, jobs, strict=True):
        require_same_curve(studio, alone, disturbed)
    begun = [_first_start(studio, job_id) for job_id in jobs]
    assert begun[3] < begun[2], "what was put first began first"
    return told


def wait_for_step(studio: InThisProcess, job_id: int, step: int) -> None:
    """Until that was told."""
    wait_until(
        lambda: _step_of(studio, job_id) >= step,
        timeout_seconds=PATIENCE_SECONDS,
        what=f"step {step} of job {job_id}",
    )


def owner_of(studio: InThisProcess, job_id: int, attempt: int = 1) -> int:
    """The worker's process that does the job, in that attempt or a later one."""

    def found() -> str | None:
        with reading(studio.app.state.engine) as session:
            job = session.get_one(Job, job_id)
            return job.owner if job.attempt >= attempt else None

    wait_until(
        lambda: found() is not None,
        timeout_seconds=PATIENCE_SECONDS,
        what=f"somebody does job {job_id} for the {attempt}. time",
    )
    return int(str(found()).split(":")[1])


def _step_of(studio: InThisProcess, job_id: int) -> int:
    """The furthest that was told of."""
    of_it = (JobEvent.job_id == job_id, JobEvent.kind == "metric")
    with reading(studio.app.state.engine) as session:
        return max(
            (payload["step"] for payload in session.exec(select(JobEvent.payload).where(*of_it))), default=0
        )


def curve_of(studio: InThisProcess, job_id: int) -> dict[tuple[str, int], set[tuple[float | None, ...]]]:
    """By kind and step, all that was ever told of it: one set of figures, however often."""
    curve: dict[tuple[str, int], set[tuple[float | None, ...]]] = {}
    for event in studio.events(job_id):
        if event["kind"] in ("metric", "eval"):
            told = tuple(event.get(name) for name in _MEASURED)
            curve.setdefault((event["kind"], event["step"]), set()).add(told)
    return curve


def require_same_curve(studio: InThisProcess, alone: int, disturbed: int) -> None:
    """No step is missing, none is one too many, and each has the figures of the undisturbed run."""
    expected, found = curve_of(studio, alone), curve_of(studio, disturbed)
    other = {
        place: (expected.get(place), found.get(place))
        for place in {*expected, *found}
        if expected.get(place) != found.get(place)
    }
    assert other == {}, other


def _second_dataset(studio: OnServers, check: Check, dice: random.Random) -> Check:
    version = studio.version(8, file="sales.zh.jsonl", name=f"General {dice.random()}")
    return studio.check(version, {"id": check["base_model_id"]})


def _sweep(studio: OnServers, check: Check, mixed_in: Check) -> list[int]:
    body = {
        "mask_check_id": check["id"],
        "mix_check_id": mixed_in["id"],
        "recipe": "quick",
        "changes": {
            **OFTEN,
            "gradient_accumulation_steps": 1,
            "per_device_train_batch_size": 1,
            "sample_count": 0,
        },
        "axes": [{"fields": ["learning_rate"], "values": list(RATES)}],
        "confirmed": True,
        "accepted_warnings": list(Name),
    }
    sweep = studio.ok(studio.api.post("/api/v1/sweeps", json=body))
    runs = [studio.ok(studio.api.get(f"/api/v1/runs/{run['run_id']}")) for run in sweep["runs"]]
    return [run["job"]["id"] for run in runs]


def _first_start(studio: OnServers, job_id: int) -> str:
    found: str = next(event["at"] for event in studio.events(job_id) if event.get("state") == "running")
    return found
