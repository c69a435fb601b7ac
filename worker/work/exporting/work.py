"""The job of an export: the kind's module writes, and its folder appears whole or not at all."""

import importlib
import os
import shutil
from pathlib import Path
from typing import Protocol, cast

from app.exports.folder_names import FOLDER, PARTIAL
from app.exports.kinds import require_kind
from app.exports.work import ExportInput, ExportResult
from app.jobs.events import Emit, Phase
from worker.work.exporting.task import ExportTask
from worker.work.protocol import Control


class Writer(Protocol):
    """A kind's module."""

    def write(self, task: ExportTask) -> None:
        """Fill the task's folder. Raises JobFailed with a sentence."""
        ...


def run(job: ExportInput, output_dir: Path, emit: Emit, control: Control) -> ExportResult:
    """Write what the kind writes."""
    partial, final = output_dir / PARTIAL, output_dir / FOLDER
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    task = ExportTask(job, partial, emit, control)
    try:
        writer_of(job.kind).write(task)
        task.phase(Phase.SAVING)
        for path in partial.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(final)
    return ExportResult(folder=FOLDER, notes=task.notes)


def writer_of(kind: str) -> Writer:
    """The module that writes a kind; imported when it is asked for, as some load torch."""
    return cast(Writer, importlib.import_module(f"worker.work.exporting.{require_kind(kind).name}"))
