"""The adapter merged into its base model: a model folder that transformers, vLLM and others load by itself."""

import json
from pathlib import Path
from typing import Final

from app.exports.card import THIS_FOLDER, CardStyle, whole_style
from app.exports.snippets import transformers, vllm
from app.jobs.events import Phase
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from worker.work.exporting.about import write_about
from worker.work.exporting.merging import base_dtype, merged_model, weights_size
from worker.work.exporting.task import ExportTask
from worker.work.training.portable import copy_tokenizer

# Below the limit of one file at many a place, and few files for a large model.
_SHARD: Final = "5GB"


def write(task: ExportTask) -> None:
    """Merge in fp32, write in the precision of the base model."""
    task.require_space(weights_size(task.base))
    model = merged_model(task)
    task.phase(Phase.WRITING)
    model.to(base_dtype(task.base)).save_pretrained(task.folder, max_shard_size=_SHARD)
    forget_the_server(task.folder / "config.json")
    copy_tokenizer(task.adapter, task.folder)
    write_about(task, style(task.provenance, task.input.config))


def style(provenance: Provenance, config: TrainingConfig) -> CardStyle:
    """Of a folder with the whole model."""
    if not config.use_peft:
        return whole_style(provenance)
    about = f"`{provenance.base_model}`, tuned with LoRA on dialogues with SFT Studio; the adapter is merged into the weights."
    usage = [*transformers(provenance, THIS_FOLDER).markdown(), "", *vllm(provenance, THIS_FOLDER).markdown()]
    return CardStyle(about, usage, "transformers", ("sft", "sft-studio"))


def forget_the_server(path: Path) -> None:
    """Nothing in the files names a folder of the server that made them."""
    config = json.loads(path.read_text("utf-8"))
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
