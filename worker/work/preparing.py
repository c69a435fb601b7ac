"""The work of preparing a base model: the whole of it, or for previews its tokenizer alone, which needs no torch."""

from pathlib import Path

from app.base_models.work import PreparedModel, PrepareInput
from app.jobs.events import Emit
from worker.work.hub import fetch
from worker.work.protocol import Control


def run(job: PrepareInput, output_dir: Path, emit: Emit, control: Control) -> PreparedModel:
    """Do what `tokenizer_only` says. Raises JobFailed with a sentence."""
    if job.tokenizer_only:
        from worker.work import tokenizers

        return tokenizers.run(job, output_dir, emit, control)
    # Before torch is imported, which takes seconds: the download begins at once, and so does a refusal.
    fetched = fetch(job.reference, job.revision, emit, control) if job.source == "hub" else None
    from worker.work import models

    return models.run(job, output_dir, emit, control, fetched)
