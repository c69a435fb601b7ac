"""A whole installation under test: the application driven through REST, a worker beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine

from app.accounts.models import Role
from app.core import migrations
from app.core.database import transaction, utc_now
from app.core.settings import Settings
from app.jobs.events import EVENTS_AT_ONCE
from app.jobs.models import Job
from app.main import create_app
from app.runs.preflight.items import Name
from tests.support.people import make_person
from tests.support.workers import wait_until

SAMPLES = Path(__file__).parents[2] / "app" / "samples"
# Of a run that goes on until somebody stops it, however quick the machine is: what has to happen meanwhile happens meanwhile.
# Without patience, since a small model has soon learned all that it can.
UNTIL_STOPPED: Final = {"max_steps": 1_000_000, "early_stopping_patience": 0}
# A failing test ends by this; nothing is measured.
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Studio:
    """An installation under test, driven through REST."""

    settings: Settings
    api: httpx.Client

    def ok(self, response: Any) -> Any:
        """Its JSON, once it is no refusal."""
        assert response.status_code < 300, response.text
        return response.json()

    def job(self, job_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.ok(self.api.get(f"/api/v1/jobs/{job_id}"))
        return found

    def wait_for(self, job: dict[str, Any], state: str, timeout_seconds: float) -> dict[str, Any]:
        def there() -> bool:
            now = self.job(job["id"])
            assert now["state"] not in {"failed", "cancelled"} - {state}, now["error"]
            return bool(now["state"] == state)

        wait_until(there, timeout_seconds=timeout_seconds, what=f"{job['kind']} {state}")
        return self.job(job["id"])

    def events(self, job_id: int) -> list[dict[str, Any]]:
        """All that there were by now. A quick job tells more while it is read: the first page that is not full is the last."""
        found = page = self._events_after(job_id, 0)
        while len(page) == EVENTS_AT_ONCE:
            page = self._events_after(job_id, len(found))
            found = found + page
        return found

    def _events_after(self, job_id: int, after: int) -> list[dict[str, Any]]:
        page = self.ok(self.api.get(f"/api/v1/jobs/{job_id}/events/list", params={"after": after}))
        events: list[dict[str, Any]] = page["events"]
        return events

    def steps_told(self, job_id: int) -> list[int]:
        """The steps whose loss was told, in order."""
        return [event["step"] for event in self.events(job_id) if event["kind"] == "metric"]

    def wait_for_step(self, job_id: int, *, after: int = 0) -> None:
        """Until a later step than this was told."""
        wait_until(
            lambda: max(self.steps_told(job_id), default=0) > after,
            timeout_seconds=PATIENCE_SECONDS,
            what=f"a step after {after}",
        )

    def wait_for_event(self, job_id: int, kind: str) -> None:
        """Until the job told such an event."""
        wait_until(
            lambda: any(event["kind"] == kind for event in self.events(job_id)),
            timeout_seconds=PATIENCE_SECONDS,
            what=f"an event {kind}",
        )

    def keep(self, run: dict[str, Any]) -> dict[str, Any]:
        """The job of a run that was told to stop and to make a model of what it has learned, once it has."""
        self.ok(self.api.post(f"/api/v1/runs/{run['id']}/stop?how=save"))
        return self.wait_for(run["job"], "succeeded", PATIENCE_SECONDS)

    def steps_of(self, run: dict[str, Any]) -> int:
        """How many steps a run that has succeeded went."""
        found: int = self.ok(self.api.get(f"/api/v1/runs/{run['id']}"))["result"]["steps"]
        return found

    def version(
        self, conversations: int, file: str = "sales.en.jsonl", name: str = "Sales"
    ) -> dict[str, Any]:
        """So many conversations of a sample file in a new dataset, approved and frozen."""
        lines = (SAMPLES / file).read_bytes().splitlines(keepends=True)[:conversations]
        dataset = self.ok(self.api.post("/api/v1/datasets", json={"name": name}))
        path = f"/api/v1/datasets/{dataset['id']}"
        report = self.ok(self.api.post(f"{path}/imports", files={"file": ("sales.jsonl", b"".join(lines))}))
        assert report["accepted"] == conversations
        self.ok(self.api.post(f"{path}/review", json={"state": "approved"}))
        found: dict[str, Any] = self.ok(self.api.post(f"{path}/versions"))
        return found

    def check(self, version: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
        """The finished, green check of this version's masks; a worker has to run."""
        question = {"dataset_version_id": version["id"], "base_model_id": model["id"]}
        asked = self.ok(
            self.api.post("/api/v1/mask-checks", json={**question, "settings": {"max_length": 512}})
        )
        self.wait_for(asked["job"], "succeeded", 240)
        check: dict[str, Any] = self.ok(self.api.get(f"/api/v1/mask-checks/{asked['id']}"))
        assert check["passed"] is True
        return check

    def start_run(
        self, check: dict[str, Any], mixed_in: dict[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A run of one conversation a step, without samples between."""
        body = {
            "mask_check_id": check["id"],
            "mix_check_id": mixed_in["id"] if mixed_in else None,
            "recipe": "quick",
            "confirmed": True,
            "accepted_warnings": list(Name),
            "changes": {
                "gradient_accumulation_steps": 1,
                "per_device_train_batch_size": 1,
                "sample_count": 0,
                **changes,
            },
        }
        found: dict[str, Any] = self.ok(self.api.post("/api/v1/runs", json=body))
        return found


@dataclass(frozen=True)
class InThisProcess(Studio):
    """One whose web application runs in this process."""

    app: FastAPI

    def end_lease(self, job_id: int) -> None:
        """As below."""
        end_lease(self.app.state.engine, job_id)


def end_lease(engine: Engine, job_id: int) -> None:
    """As if the worker that held the job had been gone for long: nobody has to wait for it, and no short lease runs out by itself
    where a machine is slow."""
    with transaction(engine) as session:
        session.get_one(Job, job_id).lease_expires_at = utc_now() - timedelta(seconds=1)


@contextmanager
def installed(settings: Settings) -> Iterator[InThisProcess]:
    """A fresh installation on these settings."""
    app = create_app(settings)
    migrations.upgrade(app.state.engine)
    yield InThisProcess(settings, make_person(app, Role.ADMIN).api, app)
    app.state.engine.dispose()


@dataclass(frozen=True)
class Ready:
    """An installation whose model is prepared and whose masks are checked, for tests that begin with a run."""

    studio: InThisProcess
    check: dict[str, Any]

    def start_run(self, **changes: Any) -> dict[str, Any]:
        """A run on the check that is there."""
        return self.studio.start_run(self.check, **changes)

    def ask_for_check(self, **settings: Any) -> dict[str, Any]:
        """The job of another check of the same version and model."""
        question = {name: self.check[name] for name in ("dataset_version_id", "base_model_id")}
        asked = self.studio.api.post("/api/v1/mask-checks", json={**question, "settings": settings})
        job: dict[str, Any] = self.studio.ok(asked)["job"]
        return job

    def worker_settings(self, **changes: Any) -> Settings:
        """Of a worker with leases and patience of its own."""
        return self.studio.settings.model_copy(update=changes)


def prepare(studio: Studio, folder: Path) -> dict[str, Any]:
    """The base model in this folder, ready."""
    body = {"source": "local", "reference": str(folder), "name": "small"}
    model = studio.ok(studio.api.post("/api/v1/base-models", json=body))
    studio.wait_for(model["job"], "succeeded", 240)
    found: dict[str, Any] = studio.ok(studio.api.get(f"/api/v1/base-models/{model['id']}"))
    assert found["is_ready"]
    return found
