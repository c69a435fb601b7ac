"""The adapter merged into its base model in memory."""

import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from app.jobs.events import Phase
from app.sentences import N_, FailureCode
from worker.work.evaluation.loading import is_whole_model, require_tuned
from worker.work.exporting.task import ExportTask
from worker.work.protocol import JobFailed


def merged_model(task: ExportTask) -> Any:
    """The tuned model on the CPU in fp32, as transformers' own class without any adapter. Raises JobFailed."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tuned = require_tuned(task.adapter)
    task.phase(Phase.LOADING_MODEL)
    # Of a full fine-tune the whole model is there already.
    source = tuned if is_whole_model(tuned) else task.base
    try:
        base: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as error:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The base model in %(path)s cannot be loaded: %(detail)s"),
            path=str(source),
            detail=(str(error).strip().splitlines() or [type(error).__name__])[0][:300],
        ) from error
    if source is tuned:
        return base
    task.phase(Phase.MERGING)
    merged = PeftModel.from_pretrained(base, str(tuned)).merge_and_unload(safe_merge=True)
    if task.input.config.load_in_4bit:
        task.note(
            N_(
                "The adapter was trained on the base model in 4 bits and is merged into its full weights: answers may differ "
                "in a word from those in the studio."
            )
        )
    return merged


def base_dtype(folder: Path) -> torch.dtype:
    """The precision that the base model's weights are stored in; fp32 where its config names none."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    named = config.get("dtype") or config.get("torch_dtype")
    found = getattr(torch, str(named).removeprefix("torch."), None)
    return found if isinstance(found, torch.dtype) else torch.float32


def weights_size(folder: Path) -> int:
    """Bytes of the base model's weights."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
