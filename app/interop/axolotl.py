"""Axolotl: one YAML for its command `train`, over Parquet files that it takes as tokenized, and a plugin that sets the seed in time."""

from typing import Any, Final

from app.files import APP_FOLDER
from app.interchange.exports.tool_configs import commented_yaml, one_line
from app.interop.arguments import OUTPUT, precision_to_compute_in, saving_steps
from app.interop.handing import HandedRun, Handing, Precision
from app.sentences import N_

CONFIG: Final = "config.yml"
TRAIN_FILE, VALIDATION_FILE = "train.parquet", "validation.parquet"
# Without it Axolotl sets the seed when the adapter's first weights are drawn already, others at each start.
SEED_PLUGIN: Final = "seed_before_adapter.py"
_SEED_CLASS: Final = "seed_before_adapter.SeedBeforeAdapter"
_SEED_SOURCE: Final = APP_FOLDER / "interop" / "sources" / "axolotl.txt"

_WARM_UP: Final = N_(
    "Axolotl makes two warm-up steps of one: the learning rate of the second step is half as large."
)
_PRECISION: Final = N_(
    "Axolotl computes in bf16 by autocast on a GPU and in float32 without one; the run computed in bfloat16 throughout."
)
# Its own kernels want a GPU, and switch themselves on where they are not switched off.
_KERNELS: Final = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel")

_LIGER_CLASS: Final = "axolotl.integrations.liger.LigerPlugin"
# What of Liger is switched on by the plugin's own options.
_LIGER: Final = {
    "liger_rope": True,
    "liger_rms_norm": True,
    "liger_glu_activation": True,
    "liger_fused_linear_cross_entropy": True,
}


def write_axolotl(run: HandedRun, handing: Handing) -> None:
    """Files, command and notes into `handing`."""
    if run.warmup_steps == 1:
        handing.note(_WARM_UP)
    precision = precision_to_compute_in(run, handing)
    if precision == "bfloat16":
        handing.note(_PRECISION)
    if run.config.use_peft:
        handing.files[SEED_PLUGIN] = _SEED_SOURCE.read_text("utf-8")
    handing.files[CONFIG] = commented_yaml(
        [one_line(run.title)], {**_model(run), **_data(run), **_training(run, precision)}
    )


def _model(run: HandedRun) -> dict[str, Any]:
    config = run.config
    plugins = [
        *([_SEED_CLASS] if config.use_peft else []),
        *([_LIGER_CLASS] if config.use_liger_kernel else []),
    ]
    return {
        "base_model": run.model,
        **({"revision_of_model": run.revision} if run.revision else {}),
        "load_in_8bit": False,
        **({"plugins": plugins} if plugins else {}),
        **(_adapter(run) if config.use_peft else {}),
        **(_LIGER if config.use_liger_kernel else {}),
    }


def _adapter(run: HandedRun) -> dict[str, Any]:
    config = run.config
    return {
        "load_in_4bit": config.load_in_4bit,
        "adapter": "qlora" if config.load_in_4bit else "lora",
        "lora_r": config.lora_r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        **({"lora_target_modules": list(run.layers)} if run.layers else {"lora_target_linear": True}),
        "peft_use_rslora": config.use_rslora,
        "peft_use_dora": config.use_dora,
        **({"peft_trainable_token_indices": [run.end_of_turn_id]} if run.trains_end_of_turn else {}),
        **dict.fromkeys(_KERNELS, False),
    }


def _data(run: HandedRun) -> dict[str, Any]:
    return {
        "datasets": [_dataset(TRAIN_FILE)],
        **({"test_datasets": [_dataset(VALIDATION_FILE)]} if run.held_out else {}),
        "val_set_size": 0,
        "dataset_prepared_path": "prepared",
        # The trainer shuffles, epoch by epoch as the studio does; nothing else may.
        "shuffle_merged_datasets": False,
        "sequence_len": run.longest,
        "sample_packing": False,
        "pad_to_sequence_len": False,
    }


def _dataset(file: str) -> dict[str, Any]:
    # Without a type it is taken as it stands.
    return {"path": file, "ds_type": "parquet", "split": "train", "type": None}


def _training(run: HandedRun, precision: Precision) -> dict[str, Any]:
    config = run.config
    return {
        "output_dir": OUTPUT,
        "micro_batch_size": config.per_device_train_batch_size,
        "gradient_accumulation_steps": run.accumulation,
        "num_epochs": config.num_train_epochs,
        **({"max_steps": run.max_steps} if run.max_steps > 0 else {}),
        "learning_rate": config.learning_rate,
        "lr_scheduler": config.lr_scheduler_type,
        "warmup_steps": run.warmup_steps,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "adam_beta1": config.adam_beta1,
        "adam_beta2": config.adam_beta2,
        "adam_epsilon": config.adam_epsilon,
        "optimizer": config.optim,
        "seed": config.seed,
        "bf16": "auto" if precision == "bfloat16" else False,
        "fp16": False,
        "tf32": False,
        "attn_implementation": "sdpa",
        "gradient_checkpointing": config.gradient_checkpointing,
        "logging_steps": config.logging_steps,
        "save_steps": saving_steps(run),
        "save_total_limit": config.save_total_limit,
        **(_evaluation(run) if run.held_out else {}),
    }


def _evaluation(run: HandedRun) -> dict[str, Any]:
    config = run.config
    best = {
        "early_stopping_patience": config.early_stopping_patience,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    }
    return {
        "eval_steps": config.eval_steps,
        "eval_batch_size": config.per_device_eval_batch_size,
        **(best if run.stops_early else {}),
    }
