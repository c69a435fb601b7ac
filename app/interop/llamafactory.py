"""LLaMA-Factory: one YAML for `llamafactory-cli train`, over a folder of Arrow that it takes as tokenized."""

from typing import Any, Final

from app.interchange.exports.tool_configs import commented_yaml, one_line
from app.interop.arguments import precision_to_compute_in, training_arguments
from app.interop.handing import HandedRun, Handing
from app.sentences import N_

TOKENIZED: Final = "tokenized"
CONFIG: Final = "train.yaml"

_PRECISION: Final = N_(
    "LLaMA-Factory loads weights in the precision that the base model's config.json names as dtype, and knows no other; "
    "the run computed in %(precision)s. Where they differ, so do the losses: write that into a copy of the file first."
)


def write_llamafactory(run: HandedRun, handing: Handing) -> None:
    """Files, command and notes into `handing`."""
    if run.trains_end_of_turn:
        handing.cannot("trainable_tokens")
    precision = precision_to_compute_in(run, handing)
    if run.config.use_peft and not handing.as_backend:  # which hands it a model folder whose config says so
        handing.note(_PRECISION, precision=precision)
    handing.files[CONFIG] = commented_yaml([one_line(run.title)], _config(run))


def _config(run: HandedRun) -> dict[str, Any]:
    config = run.config
    return {
        "model_name_or_path": run.model,
        **({"model_revision": run.revision} if run.revision else {}),
        "stage": "sft",
        "do_train": True,
        **(_adapter(run) if config.use_peft else {"finetuning_type": "full"}),
        # It wants names of datasets and takes what lies in tokenized_path; the template makes no token of it.
        "dataset": run.name,
        **({"eval_dataset": f"{run.name}_validation"} if run.held_out else {}),
        "tokenized_path": TOKENIZED,
        "template": "empty",
        "cutoff_len": run.longest,
        "packing": False,
        # Weights are loaded as the model's config says, and kept in float32 where they are trained; mixed precision would round
        # what the studio does not.
        "fp16": False,
        "bf16": False,
        "disable_gradient_checkpointing": not config.gradient_checkpointing,
        **({"enable_liger_kernel": True} if config.use_liger_kernel else {}),
        **training_arguments(run),
        **({"use_cpu": True} if run.on_processors else {}),
        **({"early_stopping_steps": config.early_stopping_patience} if run.stops_early else {}),
    }


def _adapter(run: HandedRun) -> dict[str, Any]:
    config = run.config
    return {
        "finetuning_type": "lora",
        "lora_rank": config.lora_r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "lora_target": ",".join(run.layers) if run.layers else "all",
        "use_rslora": config.use_rslora,
        "use_dora": config.use_dora,
        **_quantized(run),
    }


def _quantized(run: HandedRun) -> dict[str, Any]:
    if not run.config.load_in_4bit:
        return {}
    return {
        "quantization_bit": 4,
        "quantization_method": "bnb",
        "quantization_type": "nf4",
        "double_quantization": True,
    }
