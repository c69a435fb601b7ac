"""The work of a child done in the test's own process: input and result as the JSON that crosses between processes."""

from pathlib import Path
from typing import Any

from app.base_models.work import PrepareInput
from app.evaluations.work import EvaluateInput
from app.jobs.events import Emit
from app.runs.work import TrainInput
from worker.work import preparing
from worker.work.evaluation import judge
from worker.work.protocol import Control, read_document
from worker.work.training import sft


def train(job: dict[str, Any], output_dir: Path, emit: Emit, control: Control) -> dict[str, Any]:
    """A run; what came of it."""
    return sft.run(read_document(TrainInput, job), output_dir, emit, control).to_json()


def prepare(job: dict[str, Any], output_dir: Path, emit: Emit, control: Control) -> dict[str, Any]:
    """A base model made ready; its folder and facts."""
    return preparing.run(read_document(PrepareInput, job), output_dir, emit, control).to_json()


def evaluate(job: dict[str, Any], output_dir: Path, emit: Emit, control: Control) -> dict[str, Any]:
    """A suite answered; what was measured beside it."""
    return judge.run(read_document(EvaluateInput, job), output_dir, emit, control).to_json()
