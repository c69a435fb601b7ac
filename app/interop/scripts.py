"""TRL and Unsloth: a script that is the same for every run, and the run's numbers beside it as JSON."""

import json
from typing import Any, Final

from app.files import APP_FOLDER
from app.interop.arguments import precision_to_compute_in, training_arguments
from app.interop.handing import HandedRun, Handing, Precision
from app.sentences import N_

CONFIG: Final = "config.json"
SCRIPT: Final = "train.py"
_SOURCES: Final = APP_FOLDER / "interop" / "sources"

_LAYERS: Final = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)
_USUAL_LAYERS: Final = N_(
    "Unsloth has no word for every linear layer: the adapter goes on %(layers)s, the layers of models like Llama."
)


def write_trl(run: HandedRun, handing: Handing) -> None:
    """Files, command and notes into `handing`."""
    config = run.config
    lora = {
        **_lora(run),
        "use_dora": config.use_dora,
        "task_type": "CAUSAL_LM",
        "target_modules": list(run.layers) if run.layers else "all-linear",
        **({"trainable_token_indices": [run.end_of_turn_id]} if run.trains_end_of_turn else {}),
    }
    training = {
        **_training(run),
        "gradient_checkpointing": config.gradient_checkpointing,
        **({"use_liger_kernel": True} if config.use_liger_kernel else {}),
        # What starts several processes leaves it to them where they compute.
        **({"use_cpu": True} if run.on_processors else {}),
    }
    if not config.use_peft:
        # Weights and optimizer stay in fp32 whatever is computed in: a step is far below what a bf16 weight can tell.
        training["bf16"] = run.precision == "bfloat16"
    if run.launch:
        # The file that its processes are started with.
        handing.files[run.launch.name_in_folder] = run.launch.text
    _write(run, handing, run.precision, lora if config.use_peft else None, training)


def write_unsloth(run: HandedRun, handing: Handing) -> None:
    """Files, command and notes into `handing`."""
    config = run.config
    if run.trains_end_of_turn:
        handing.cannot("trainable_tokens")
    if config.use_dora:
        handing.cannot("use_dora")
    if config.use_liger_kernel:  # it brings kernels of its own, for the same modules
        handing.cannot("use_liger_kernel")
    if config.use_peft and not run.layers:
        handing.note(_USUAL_LAYERS, layers=", ".join(_LAYERS))
    lora = {
        **_lora(run),
        "target_modules": list(run.layers or _LAYERS),
        "random_state": config.seed,
    }
    precision = precision_to_compute_in(run, handing)
    _write(run, handing, precision, lora if config.use_peft else None, _training(run))


def _lora(run: HandedRun) -> dict[str, Any]:
    config = run.config
    return {
        "r": config.lora_r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "use_rslora": config.use_rslora,
        "bias": "none",
    }


def _training(run: HandedRun) -> dict[str, Any]:
    return {
        **training_arguments(run),
        "max_length": None,
        "packing": False,
        # The weights' own precision is that of the run; autocast would round what the studio does not.
        "bf16": False,
        "fp16": False,
    }


def _write(
    run: HandedRun,
    handing: Handing,
    precision: Precision,
    lora: dict[str, Any] | None,
    training: dict[str, Any],
) -> None:
    """`lora` is None where every weight is trained."""
    value = {
        "title": run.title,
        "model": run.model,
        "revision": run.revision,
        "dtype": precision,
        "load_in_4bit": run.config.load_in_4bit,
        "longest": run.longest,
        "gradient_checkpointing": run.config.gradient_checkpointing,
        "early_stopping_patience": run.config.early_stopping_patience if run.stops_early else 0,
        "lora": lora,
        "training": training,
    }
    handing.files[CONFIG] = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    handing.files[SCRIPT] = (_SOURCES / f"{handing.tool}.txt").read_text("utf-8")
