"""Which settings may change where a run goes on from what another one left, and which belong to what was left."""

from typing import Final

# How often something is logged, measured, asked or saved changes no number of a run; everything else does.
FREE: Final = frozenset(
    {
        "logging_steps",
        "eval_steps",
        "save_steps",
        "save_total_limit",
        "keep_checkpoints",
        "per_device_eval_batch_size",
        "sample_count",
        "sample_prompts",
    }
)
# How many steps the whole run has.
STEPS: Final = ("num_train_epochs", "max_steps")
# What a run that goes on from a checkpoint may have otherwise. The rest is in its weights, its optimizer or its order of the data.
CHANGEABLE: Final = FREE | {*STEPS, "learning_rate", "max_grad_norm", "early_stopping_patience"}
# The shape of an adapter: a run that begins from one has it too.
ADAPTER_SHAPE: Final = (
    "use_peft",
    "load_in_4bit",
    "lora_r",
    "lora_alpha",
    "lora_target_modules",
    "use_rslora",
    "use_dora",
    "trainable_tokens",
)
