"""The work of preparing a base model: the whole of it, or for previews its tokenizer alone, which needs no torch."""

from pathlib import Path

from app.base_models.work import PreparedModel, PrepareInput
from app.jobs.events import Emit
from worker.work.protocol import Control


def run(job: PrepareInput, output_dir: Path, emit: Emit, control: Control) -> PreparedModel:
    """Do what `tokenizer_only` says. Raises JobFailed with a sentence."""
    if job.tokenizer_only:
        from worker.work import tokenizers

        return tokenizers.run(job, output_dir, emit, control)
    from worker.work import models

    return models.run(job, output_dir, emit, control)
