"""A small client of the REST API. Every failure becomes a sentence that says what to do."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
from pydantic import RootModel

from app.checklists.lines import ChecklistLine
from app.client.base_models import BaseModelClient
from app.client.exports import ExportClient
from app.client.notices import NoticeClient
from app.client.recipes import RecipeClient
from app.client.speaking import CONNECT_SECONDS, ServerRefused, once
from app.client.sweeps import SweepClient
from app.conversations.schemas import ReviewManyOut
from app.curation.schemas import DatasetOut
from app.erasure.schemas import DatasetHolders, Holders
from app.evaluations.documents import CaseLimits, JudgedRun
from app.evaluations.schemas import EvaluationOut, SuiteOut
from app.gates.schemas import GateOut, SweepGateOut
from app.imports.schemas import ImportOut
from app.jobs.events import SamplePayload
from app.jobs.models import Priority, StopRequest
from app.jobs.order import Move
from app.jobs.schemas import EventOut, EventsOut, JobOut
from app.mask_checks.schemas import MaskCheckOut
from app.queue.schemas import QueueOut
from app.runs.checkpoint_schemas import CheckpointOut
from app.runs.manifest import Manifest
from app.runs.plan_schemas import PlanOut
from app.runs.preflight.schemas import PreflightOut
from app.runs.schemas import ComparedOut, CurvesOut, FindingOut, RunOut, RunStartedOut
from app.runs.tracking_schemas import TrackedOut
from app.versions.schemas import FrozenOut, VersionOut

# A large file is read line by line before there is an answer, and thousands of dialogues are changed piece by piece.
_PATIENT: Final = httpx.Timeout(900.0, connect=CONNECT_SECONDS)


class StudioClient(BaseModelClient, ExportClient, NoticeClient, RecipeClient, SweepClient):
    """What the server can be asked for."""

    def datasets(self, name: str | None = None) -> list[DatasetOut]:
        """All datasets, or those of this name."""
        params = {} if name is None else {"name": name}
        return self._all(DatasetOut, "GET", "/api/v1/datasets", params=params)

    def import_file(
        self,
        dataset: str,
        path: Path,
        *,
        format: str,
        skip_bad: bool,
        told: dict[str, str] | None = None,
        dataset_info: Path | None = None,
    ) -> ImportOut:
        """Send a file for the dataset of this name, which the server makes if something comes in. `told` and
        `dataset_info` tell of the tool that it comes from.

        A large file is left to a job, which the answer then names. A report that kept everything out comes as
        `ServerRefused` with the report as body.
        """
        data = {"dataset": dataset, "format": format, "skip_bad": json.dumps(skip_bad), "wait": "false"}
        data |= told or {}
        with path.open("rb") as file, ExitStack() as stack:
            files = {"file": (path.name, file)}
            if dataset_info:
                info = stack.enter_context(dataset_info.open("rb"))
                files["dataset_info"] = (dataset_info.name, info)
            return self._one(
                ImportOut,
                "POST",
                "/api/v1/imports",
                files=files,
                data=data,
                timeout=_PATIENT,
            )

    def import_of_job(self, job_id: int) -> ImportOut:
        """The report of an import that a job did."""
        return self._one(ImportOut, "GET", f"/api/v1/imports/jobs/{job_id}")

    def review_drafts(self, dataset_id: int, state: str) -> ReviewManyOut:
        """Review all of a dataset that nobody has decided on."""
        path = f"/api/v1/datasets/{dataset_id}/review"
        return self._one(ReviewManyOut, "POST", path, json={"state": state}, timeout=_PATIENT)

    def freeze(self, dataset_id: int) -> FrozenOut:
        """Freeze what is approved; unchanged content gives the existing version."""
        return self._one(
            FrozenOut, "POST", f"/api/v1/datasets/{dataset_id}/versions", repeatable=True, timeout=_PATIENT
        )

    def versions(self, dataset_id: int) -> list[VersionOut]:
        """Frozen versions of a dataset, newest first."""
        return self._all(VersionOut, "GET", f"/api/v1/datasets/{dataset_id}/versions")

    def export_version(
        self, version_id: int, params: dict[str, str], file: BinaryIO
    ) -> tuple[str, dict[str, Any]]:
        """Write a version in another tool's format to `file`, from its beginning; gives the file's name and the server's report."""
        path = f"/api/v1/versions/{version_id}/export"

        def ask() -> tuple[str, dict[str, Any]]:
            file.seek(0)
            file.truncate()
            with self._telling(), self._http.stream("GET", path, params=params) as response:
                report = response.headers.get("x-export-report")
                name = re.search(r'filename="([^"]+)"', response.headers.get("content-disposition", ""))
                if not response.is_success or report is None or name is None:
                    response.read()
                    self._read(response)
                    text = self._stranger_text(response.status_code)
                    raise ServerRefused(text, status=response.status_code)
                for chunk in response.iter_bytes():
                    file.write(chunk)
            return name.group(1), json.loads(report)

        found: tuple[str, dict[str, Any]] = self._through_restarts(ask, repeatable=True)
        return found

    def request_mask_check(
        self, dataset_version_id: int, base_model_id: int, settings: dict[str, Any]
    ) -> MaskCheckOut:
        """Ask for a mask check; the same question finds the same check."""
        body = {
            "dataset_version_id": dataset_version_id,
            "base_model_id": base_model_id,
            "settings": settings,
        }
        return self._one(MaskCheckOut, "POST", "/api/v1/mask-checks", json=body, repeatable=True)

    def mask_check(self, mask_check_id: int) -> MaskCheckOut:
        """One mask check."""
        return self._one(MaskCheckOut, "GET", f"/api/v1/mask-checks/{mask_check_id}")

    def runs(self, limit: int = 50) -> list[RunOut]:
        """Runs, newest first."""
        return self._all(RunOut, "GET", "/api/v1/runs", params={"limit": limit})

    def run(self, run_id: int) -> RunOut:
        """One run."""
        return self._one(RunOut, "GET", f"/api/v1/runs/{run_id}")

    def plan_run(self, body: dict[str, Any]) -> PlanOut:
        """What a run would be and take, and advice; starts nothing."""
        return self._one(PlanOut, "POST", "/api/v1/runs/plan", json=body, repeatable=True)

    def start_run(self, body: dict[str, Any], idempotency_key: str) -> RunStartedOut:
        """Start a run; the same key again gives the first run."""
        headers = once(idempotency_key)
        return self._one(RunStartedOut, "POST", "/api/v1/runs", json=body, headers=headers, repeatable=True)

    def run_again(self, run_id: int, body: Mapping[str, object], idempotency_key: str) -> RunStartedOut:
        """Start a run once more, or one like it with changes; the same key again gives the first one."""
        headers = once(idempotency_key)
        path = f"/api/v1/runs/{run_id}/again"
        return self._one(RunStartedOut, "POST", path, json=body, headers=headers, repeatable=True)

    def stop_run(self, run_id: int, how: StopRequest) -> RunOut:
        """Ask a run to pause, or to end."""
        return self._one(RunOut, "POST", f"/api/v1/runs/{run_id}/stop", params={"how": how.value})

    def resume_run(self, run_id: int) -> RunOut:
        """Let a paused run go on."""
        return self._one(RunOut, "POST", f"/api/v1/runs/{run_id}/resume")

    def checkpoints(self, run_id: int) -> list[CheckpointOut]:
        """What a run left on its way."""
        return self._all(CheckpointOut, "GET", f"/api/v1/runs/{run_id}/checkpoints")

    def curves(self, run_id: int) -> CurvesOut:
        """Its curves so far, thinned."""
        return self._one(CurvesOut, "GET", f"/api/v1/runs/{run_id}/curves")

    def run_log(self, run_id: int) -> str:
        """The last lines of its log."""
        return self._text(f"/api/v1/runs/{run_id}/log")

    def delete_checkpoints(self, run_id: int) -> None:
        """Remove them."""
        self._ask("DELETE", f"/api/v1/runs/{run_id}/checkpoints")

    def look_before_again(self, run_id: int, body: Mapping[str, object]) -> PreflightOut:
        """What stands against making a run once more, or one like it with changes."""
        return self._one(PreflightOut, "POST", f"/api/v1/runs/{run_id}/again/preflight", json=body)

    def look_before_onward(self, run_id: int, step: int, body: Mapping[str, object]) -> PreflightOut:
        """What stands against going on from a checkpoint, or keeping it."""
        path = f"/api/v1/runs/{run_id}/checkpoints/{step}/preflight"
        return self._one(PreflightOut, "POST", path, json=body)

    def continue_run(self, run_id: int, step: int, body: Mapping[str, object], key: str) -> RunOut:
        """Go on from a checkpoint; the same key again gives the first one."""
        path, headers = f"/api/v1/runs/{run_id}/checkpoints/{step}/continue", once(key)
        return self._one(RunOut, "POST", path, json=body, headers=headers, repeatable=True)

    def keep_checkpoint(self, run_id: int, step: int, body: Mapping[str, object], key: str) -> RunOut:
        """Make a model of a checkpoint; the same key again gives the first one."""
        path, headers = f"/api/v1/runs/{run_id}/checkpoints/{step}/keep", once(key)
        return self._one(RunOut, "POST", path, json=body, headers=headers, repeatable=True)

    def manifest(self, run_id: int) -> Manifest:
        """What the run's numbers follow from."""
        return self._one(Manifest, "GET", f"/api/v1/runs/{run_id}/manifest")

    def trackers(self, run_id: int) -> list[TrackedOut]:
        """How the run stands with the trackers that it is told to."""
        return self._all(TrackedOut, "GET", f"/api/v1/runs/{run_id}/trackers")

    def compare(self, run_ids: list[int]) -> ComparedOut:
        """Runs side by side."""
        return self._one(ComparedOut, "GET", "/api/v1/runs/compare", params={"run": run_ids})

    def samples(self, run_id: int) -> list[SamplePayload]:
        """The sample answers of a run so far."""
        found = self._all(RootModel[SamplePayload], "GET", f"/api/v1/runs/{run_id}/samples")
        return [answer.root for answer in found]

    def diagnosis(self, run_id: int) -> list[FindingOut]:
        """What is wrong with a run so far."""
        return self._all(FindingOut, "GET", f"/api/v1/runs/{run_id}/diagnosis")

    def job(self, job_id: int) -> JobOut:
        """State of one job."""
        return self._one(JobOut, "GET", f"/api/v1/jobs/{job_id}")

    def events(self, job_id: int, after: int) -> list[EventOut]:
        """The next events of a job."""
        path = f"/api/v1/jobs/{job_id}/events/list"
        return self._one(EventsOut, "GET", path, params={"after": after}).events

    def queue(self) -> QueueOut:
        """What runs and what waits."""
        return self._one(QueueOut, "GET", "/api/v1/queue")

    def move_job(self, job_id: int, where: Move) -> QueueOut:
        """Move a waiting job."""
        return self._one(QueueOut, "POST", f"/api/v1/queue/jobs/{job_id}/move", json={"where": where.value})

    def set_priority(self, job_id: int, priority: Priority) -> QueueOut:
        """Give a waiting job another priority."""
        body = {"priority": priority.value}
        return self._one(QueueOut, "POST", f"/api/v1/queue/jobs/{job_id}/priority", json=body)

    def pause_queue(self, reason: str) -> QueueOut:
        """Let no new work start."""
        return self._one(QueueOut, "POST", "/api/v1/queue/pause", json={"reason": reason})

    def resume_queue(self) -> QueueOut:
        """Let it go on."""
        return self._one(QueueOut, "POST", "/api/v1/queue/resume")

    def suites(self) -> list[SuiteOut]:
        """The evaluation suites that the server knows."""
        return self._all(SuiteOut, "GET", "/api/v1/suites")

    def start_evaluation(self, run_id: int, suite: str, limits: CaseLimits) -> EvaluationOut:
        """Judge a run on a suite, or on a part of it."""
        path = f"/api/v1/runs/{run_id}/evaluations"
        body = {"suite": suite, **limits.model_dump(exclude_none=True)}
        return self._one(EvaluationOut, "POST", path, json=body)

    def evaluations(self, run_id: int | None = None) -> list[EvaluationOut]:
        """Evaluations, newest first; of one run, or all."""
        params = {} if run_id is None else {"run_id": run_id}
        return self._all(EvaluationOut, "GET", "/api/v1/evaluations", params=params)

    def verdict(self, run_id: int) -> JudgedRun | None:
        """Whether the run is better than its base model; None before anything was judged."""
        answer = self._ask("GET", f"/api/v1/runs/{run_id}/verdict")
        return None if answer is None else self.understood(JudgedRun, answer)

    def evaluation(self, evaluation_id: int) -> EvaluationOut:
        """One evaluation."""
        return self._one(EvaluationOut, "GET", f"/api/v1/evaluations/{evaluation_id}")

    def checklist(self, run_id: int) -> list[ChecklistLine]:
        """The checklist of a run, filled in."""
        return self._all(ChecklistLine, "GET", f"/api/v1/runs/{run_id}/checklist")

    def gate(self, run_id: int, params: dict[str, str | list[str]]) -> GateOut:
        """Whether a run passes what is asked by `params`, which are those of the address."""
        return self._one(GateOut, "GET", f"/api/v1/runs/{run_id}/gate", params=params)

    def gate_sweep(self, sweep_id: int, params: dict[str, str | list[str]]) -> SweepGateOut:
        """The same of a sweep; `need` among them says how many of its runs have to pass."""
        return self._one(SweepGateOut, "GET", f"/api/v1/sweeps/{sweep_id}/gate", params=params)

    def holders(self, conversation_id: int) -> Holders:
        """What holds the conversation."""
        return self._one(Holders, "GET", f"/api/v1/conversations/{conversation_id}/holders")

    def erase(self, conversation_id: int) -> Holders:
        """Take the conversation out of all that holds it."""
        return self._one(Holders, "POST", f"/api/v1/conversations/{conversation_id}/erase", timeout=_PATIENT)

    def dataset_holders(self, dataset_id: int) -> DatasetHolders:
        """What holds the dialogues of a dataset."""
        return self._one(DatasetHolders, "GET", f"/api/v1/datasets/{dataset_id}/holders")

    def erase_dataset(self, dataset_id: int) -> DatasetHolders:
        """Take every dialogue of a dataset out of all that holds it."""
        return self._one(DatasetHolders, "POST", f"/api/v1/datasets/{dataset_id}/erase", timeout=_PATIENT)
