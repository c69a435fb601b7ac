"""A run's config by the names of transformers' TrainingArguments, which LLaMA-Factory, TRL and Unsloth share."""

from typing import Any, Final

from app.interop.handing import TOOL_NAMES, HandedRun, Handing, Precision
from app.sentences import N_

OUTPUT: Final = "output"

_DRAWS: Final = N_(
    "Dropout of %(dropout)s draws other random numbers than the studio: losses differ by that."
)
_WHOLE: Final = N_(
    "%(tool)s trains every weight in float32, where the run computed its products in bfloat16: only so do its files train the same weights "
    "with a GPU and without."
)
_SAVES: Final = N_(
    "It saves whenever it measures, every %(steps)d steps, so that the best adapter can be kept."
)
WITH_A_GPU: Final = N_(
    "Train it with a GPU. Without one bitsandbytes repacks the weights in 4 bits when the held-out loss is first measured, and no gradient "
    "passes them from then on: the adapter is hardly trained, and nothing says so."
)
# Their scripts forbid that.
_KEEP_TRAINABLE: Final = ("trl", "unsloth")
_REPEATED: Final = N_(
    "Where the batches of an epoch do not divide among %(number)d processes, the first ones are trained again in its last step."
)


def training_arguments(run: HandedRun) -> dict[str, Any]:
    """What decides steps, schedule and numbers, and how often it is measured and saved."""
    config = run.config
    return {
        "output_dir": OUTPUT,
        "per_device_train_batch_size": config.per_device_train_batch_size,
        "gradient_accumulation_steps": run.accumulation,
        "num_train_epochs": config.num_train_epochs,
        "max_steps": run.max_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler_type,
        "warmup_steps": run.warmup_steps,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "adam_beta1": config.adam_beta1,
        "adam_beta2": config.adam_beta2,
        "adam_epsilon": config.adam_epsilon,
        "optim": config.optim,
        "seed": config.seed,
        # With it their own shuffling is the studio's, epoch by epoch.
        "data_seed": config.seed,
        "logging_steps": config.logging_steps,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": saving_steps(run),
        "save_total_limit": config.save_total_limit,
        **(_evaluation(run) if run.held_out else {}),
        "report_to": "none",
    }


def precision_to_compute_in(run: HandedRun, handing: Handing) -> Precision:
    """The run's own for an adapter. For every weight float32: in bf16 Axolotl and Unsloth keep them in bf16 too, where most steps are lost
    in rounding, and LLaMA-Factory does not start without a GPU. Says where that is not the run's."""
    if run.config.use_peft or run.precision == "float32":
        return run.precision
    handing.note(_WHOLE, tool=TOOL_NAMES[handing.tool])
    return "float32"


def _evaluation(run: HandedRun) -> dict[str, Any]:
    config = run.config
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    return {
        "eval_strategy": "steps",
        "eval_steps": config.eval_steps,
        "eval_on_start": True,
        "per_device_eval_batch_size": config.per_device_eval_batch_size,
        **(best if run.stops_early else {}),
    }


def saving_steps(run: HandedRun) -> int:
    """How often it is saved: only what was saved when it was measured can turn out best and be kept."""
    return run.config.eval_steps if run.stops_early else run.config.save_steps


def note_what_is_otherwise(run: HandedRun, handing: Handing) -> None:
    """What holds for every tool."""
    config = run.config
    if run.launch and run.launch.num_processes > 1:
        handing.note(_REPEATED, number=run.launch.num_processes)
    if config.load_in_4bit and run.held_out and handing.tool not in _KEEP_TRAINABLE:
        handing.note(WITH_A_GPU)
    if config.lora_dropout:
        handing.note(_DRAWS, dropout=f"{config.lora_dropout:g}")
    if run.stops_early and config.save_steps != config.eval_steps:
        handing.note(_SAVES, steps=config.eval_steps)
