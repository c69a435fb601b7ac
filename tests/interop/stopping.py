"""Each tool is stopped and kept, and goes on from its own checkpoint after a worker was lost: by the worker's own code, on a tiny model."""

import shutil
import sys
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.interop.environments import find_environment
from app.interop.handing import Tool
from app.runs.folder_names import WORKPLACE
from app.runs.work import BackendPlace, TrainInput
from tests.interop import tools
from tests.interop.material import Material, config_of, prepare, tiny_model
from tests.worker.conftest import PROVENANCE, Recorder
from worker.work import train
from worker.work.evaluation.loading import require_adapter
from worker.work.protocol import Control

# A checkpoint is saved, some steps follow, then the worker is lost; somebody stops and keeps a little later.
SAVED, LOST, STOPPED = 3, 5, 6
STEPS = 60


class Watching(Recorder):
    """Keeps what a worker that is lost in step LOST leaves behind, and stops and keeps after STOPPED."""

    def __init__(self, control: Control, workplace: Path, lost: Path | None) -> None:
        super().__init__()
        self.control, self.workplace, self.lost = control, workplace, lost

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event != "progress":
            return
        if payload["step"] == LOST and self.lost is not None:
            shutil.copytree(self.workplace, self.lost, symlinks=True)
            for path in self.lost.glob("whole-*.json"):
                path.write_text(path.read_text().replace(str(self.workplace), str(self.lost)))
        if payload["step"] == STOPPED:
            self.control.request_stop("save")


def stop_and_go_on(
    chosen: list[Tool], folder: Path, wrong: list[str], near: float
) -> dict[str, dict[str, Any]]:
    """By tool: losses by step of a run that is stopped and kept, and how far those of the run that goes on lie from them."""
    folder.mkdir()
    model = tiny_model(folder)
    config = config_of(max_steps=STEPS, save_steps=SAVED, eval_steps=1000, sample_count=0)
    material = prepare(model, folder, config)
    figures: dict[str, dict[str, Any]] = {}
    for tool in chosen:
        print(f"{tool} is stopped, and goes on", file=sys.stderr, flush=True)
        first = _run(tool, material, model, folder / tool / "1", folder / tool / "lost" / "1")
        again = _run(tool, material, model, folder / tool / "lost" / "2", None)
        figures[tool] = _judged(tool, first, again, wrong, near)
    return figures


def _run(
    tool: Tool, material: Material, model: Path, output: Path, lost: Path | None
) -> tuple[Any, Watching]:
    found = find_environment(Settings.model_validate({f"{tool}_env": tools.python_of(tool)}), tool)
    assert found is not None, f"{tool} is not there"
    control = Control()
    emit = Watching(control, output / WORKPLACE, lost and lost / WORKPLACE)
    values = {
        "arrays": str(material.path),
        "arrays_hash": material.arrays.hash,
        "base_model_path": str(model),
        "provenance": PROVENANCE,
        "config": {**material.run.config.to_json(), "backend": tool},
        "resume_from": None if lost else str(output.parent),
    }
    job = TrainInput.model_validate(values)
    job.backend = BackendPlace(python=str(found.python), version=found.version)
    return train.run(job, output, emit, control), emit


def _judged(
    tool: str, first: tuple[Any, Watching], again: tuple[Any, Watching], wrong: list[str], near: float
) -> dict[str, Any]:
    losses = [{row["step"]: row["loss"] for row in emit.of("metric")} for _result, emit in (first, again)]
    for result, emit in (first, again):
        require_adapter(emit.workplace.parent / result.adapter)
        if result.stop_reason != "requested" or not STOPPED <= result.steps < STEPS:
            wrong.append(f"{tool} was stopped and kept after {result.steps} steps: {result.stop_reason}")
    shared = [step for step in losses[1] if step in losses[0]]
    apart = max((abs(losses[0][step] - losses[1][step]) for step in shared), default=float("inf"))
    if min(losses[1]) != SAVED + 1 or apart > near:
        wrong.append(f"{tool} went on with step {min(losses[1])}, its losses {apart:.4f} apart")
    return {"stopped_after": first[0].steps, "goes_on_with": min(losses[1]), "steps": shared, "apart": apart}
