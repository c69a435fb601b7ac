"""The work of preparing a base model: the whole of it, or for previews its tokenizer alone, which needs no torch."""

from pathlib import Path
from typing import Any

from app.jobs.events import Emit
from worker.work.protocol import Control


def run(input: dict[str, Any], output_dir: Path, emit: Emit, control: Control) -> dict[str, Any]:
    """Do what `tokenizer_only` says. Raises JobFailed with a sentence."""
    if input.get("tokenizer_only"):
        from worker.work import tokenizers

        return tokenizers.run(input, output_dir, emit, control)
    from worker.work import models

    return models.run(input, output_dir, emit, control)
