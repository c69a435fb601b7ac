"""The workflows of docs/ci, step by step as they stand, on a small model; the server goes away while they wait."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
import yaml

from app.accounts.first_run import read_local_token
from app.core.database import build_engine
from app.core.settings import Settings
from tests.cli.conftest import ROOT, environment, serving, wait_until
from tests.support import held_jobs
from tests.support.installation import end_lease
from tests.support.processes import end
from tests.support.small_runs import base_folder

pytestmark = pytest.mark.timeout(900)
CI = ROOT / "docs" / "ci"


def _github() -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The variables and the steps that run something."""
    document = yaml.safe_load((CI / "github-actions.yml").read_text(encoding="utf-8"))
    (job,) = document["jobs"].values()
    return document["env"], [step for step in job["steps"] if "run" in step]


def _gitlab() -> dict[str, Any]:
    document = yaml.safe_load((CI / "gitlab-ci.yml").read_text(encoding="utf-8"))
    (job,) = document.values()
    return dict(job)


def test_both_systems_run_the_same_commands_and_keep_the_report() -> None:
    variables, steps = _github()
    gitlab = _gitlab()
    commands = [step["run"] for step in steps if step["name"] != "Summary"]
    assert gitlab["script"] == commands
    ours = {name: value for name, value in variables.items() if not value.startswith("${{")}
    assert gitlab["variables"] == ours
    assert gitlab["artifacts"]["reports"]["junit"] in commands[-1]


@contextmanager
def _studio(folder: Path, port: int | None = None, *, held_at: str = "") -> Iterator[Any]:
    """The jobs that import this module go no further while there is a file `held` in this folder."""
    roots = {"SFT_STUDIO_MODEL_ROOTS": json.dumps([str(base_folder().parent)])}
    with serving(folder, port=port, **roots, **held_jobs.environment_of(folder / "held", held_at)) as server:
        yield server


def test_from_import_to_gate_and_away_with_a_restart_of_the_server_in_the_middle_of_each_wait(
    tmp_path: Path,
) -> None:
    variables, steps = _github()
    desk = tmp_path / "desk"
    (desk / "dialogues").mkdir(parents=True)
    samples = (ROOT / "app" / "samples" / "sales.en.jsonl").read_text(encoding="utf-8").splitlines()
    # The small model reads few tokens, and a sample that is cut would have to be accepted.
    samples = sorted(samples, key=len)[:24]
    (desk / variables["DIALOGUES"]).write_text("\n".join(samples) + "\n", encoding="utf-8")
    # What is waited for goes on until the server is away, however quick the machine is.
    (tmp_path / "held").touch()
    with _studio(tmp_path, held_at="worker.work.train") as server:
        token = read_local_token(server.data_dir)
        told = {**variables, "BASE_MODEL": str(base_folder()), "RECIPE": "quick"}
        told |= {"SFT_STUDIO_URL": server.url, "SFT_STUDIO_TOKEN": token, "SFT_STUDIO_WHEEL": ""}
        # A job's own data folder is empty: the server is another machine.
        place = environment(tmp_path / "elsewhere", **told, GITHUB_STEP_SUMMARY=str(desk / "summary.md"))
        place["PATH"] = f"{Path(sys.executable).parent}:{place['PATH']}"
        # The installation has a test of its own.
        for step in steps[1:3]:
            _finished(_step(step, desk, place))
        training = _step(steps[3], desk, place)
        api = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=120)
        wait_until(lambda: api.get("/api/v1/runs").json(), "the run is in the queue")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
        wait_until(lambda: "trying again" in training.said, "the command says that the server is away")
        assert training.process.poll() is None
    (tmp_path / "held").unlink()
    with _studio(tmp_path, server.port, held_at="worker.work.exporting.work") as server:
        _finished(training)
        run = json.loads((desk / "run.json").read_text())
        assert run["job"]["state"] == "succeeded"
        for step in steps[4:]:
            _finished(_step(step, desk, place))
        (tmp_path / "held").touch()
        taken = _step({"run": f"sft-studio export --run {run['id']} --as adapter --out adapter"}, desk, place)
        wait_until(lambda: _export_state(api, run["id"]) == "running", "the files are being made")
        (export,) = api.get(f"/api/v1/runs/{run['id']}/exports").json()
        end(server.family())
        wait_until(lambda: "trying again" in taken.said, "the command says that the server is away")
        (tmp_path / "held").unlink()
    # Nobody is left who could hand the job back: it is taken up again once its lease has run out.
    engine = build_engine(Settings(data_dir=server.data_dir).resolved_database_url)
    end_lease(engine, export["job"]["id"])
    engine.dispose()
    with _studio(tmp_path, server.port):
        _finished(taken)
    assert (desk / "adapter" / "adapter_model.safetensors").stat().st_size > 0
    root = ET.parse(desk / "gate.xml").getroot()
    assert (root.attrib["failures"], root.attrib["errors"]) == ("0", "0")
    names = [case.attrib["name"] for case in root.iter("testcase")]
    assert names[0] == "mask_check.passed ≥ 1"
    assert any(name.startswith("held_out_loss ≤ ") for name in names)
    assert any(name.startswith("sales-en.checks ≥ ") for name in names)
    assert (desk / "summary.md").read_text(encoding="utf-8").startswith("## ✅ Gate passed")


def _export_state(api: httpx.Client, run_id: int) -> str | None:
    states = [one["job"]["state"] for one in api.get(f"/api/v1/runs/{run_id}/exports").json()]
    return states[0] if states else None


@dataclass(frozen=True)
class _Step:
    """A step of a workflow that is under way, and what it has printed so far."""

    process: "subprocess.Popen[str]"
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")


def _step(step: dict[str, Any], desk: Path, place: dict[str, str]) -> _Step:
    """As the runner starts it."""
    shell = [shutil.which("bash") or "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    output = desk.parent / "said.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            shell,
            cwd=desk,
            env=place,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return _Step(process, output)


def _finished(step: _Step) -> None:
    assert step.process.wait(240) == 0, step.said
