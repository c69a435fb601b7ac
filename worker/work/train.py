"""A training job: by the studio's own trainer, or by the tool that its config names."""

from pathlib import Path

from app.jobs.events import Emit
from app.recipes.backend import STUDIO
from app.runs.result import RunResult
from app.runs.work import TrainInput
from worker.work.protocol import Control
from worker.work.recording import Recording
from worker.work.tensorboard import EventFiles
from worker.work.training import sft


def run(job: TrainInput, output_dir: Path, emit: Emit, control: Control) -> RunResult:
    """Raises JobFailed with a sentence, Cancelled when told to stop without saving."""
    with Recording(emit, output_dir) as recorded, EventFiles(recorded, output_dir, job) as told:
        return _train(job, output_dir, told, control)


def _train(job: TrainInput, output_dir: Path, emit: Emit, control: Control) -> RunResult:
    if job.config.backend == STUDIO:
        return sft.run(job, output_dir, emit, control)
    # Another tool's files and what reads them are loaded for it alone.
    from worker.work.backends import run as backend

    return backend.run(job, output_dir, emit, control)
