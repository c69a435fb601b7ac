"""What each field of the training config means and which values the source material recommends."""

from dataclasses import dataclass
from typing import Final

from app.recipes.config import OPTIMISERS, SCHEDULERS
from app.sentences import N_

YES_NO: Final = ("true", "false")


@dataclass(frozen=True)
class ConfigField:
    """One field as a form shows it. `choices` makes it a list, else it is typed in."""

    name: str
    meaning: str
    choices: tuple[str, ...] = ()
    is_number: bool = True


@dataclass(frozen=True)
class FieldGroup:
    """Fields that one looks at together."""

    title: str
    fields: tuple[ConfigField, ...]


FIELD_GROUPS: Final = (
    FieldGroup(
        N_("Learning"),
        (
            ConfigField(
                "learning_rate",
                N_(
                    "Size of a step. LoRA 5e-5 to 1e-4, QLoRA 1e-4 to 2e-4; lower it when the loss oscillates."
                ),
            ),
            ConfigField(
                "num_train_epochs",
                N_("Passes over the data. Below 1,000 conversations 5–10, up to 10,000 2–5, above 1–3."),
            ),
            ConfigField("max_steps", N_("Ends after so many steps, whatever the epochs say; -1: no limit.")),
            ConfigField(
                "per_device_train_batch_size",
                N_("Samples in memory at once. Lower it first when memory runs out."),
            ),
            ConfigField(
                "gradient_accumulation_steps",
                N_("Batches added up for one step. Batch × accumulation of 16 is the usual size."),
            ),
            ConfigField(
                "lr_scheduler_type",
                N_("How the learning rate changes over the run. Cosine is the usual one."),
                SCHEDULERS,
            ),
            ConfigField(
                "warmup_ratio", N_("Share of the steps in which the learning rate rises: 0.03 to 0.1.")
            ),
            ConfigField("weight_decay", N_("Pulls weights towards zero against overfitting: 0 to 0.1.")),
            ConfigField(
                "max_grad_norm", N_("Clips large gradients. 1.0; lower it when the gradient norm jumps.")
            ),
            ConfigField("seed", N_("The same seed, data and config repeat the run.")),
        ),
    ),
    FieldGroup(
        N_("Adapter"),
        (
            ConfigField(
                "lora_r",
                N_("Rank of the adapter: 8–16 for a format, 32–64 for a domain, 128–256 for complex tasks."),
            ),
            ConfigField("lora_alpha", N_("Scale of the adapter. Twice lora_r is recommended.")),
            ConfigField("lora_dropout", N_("0.05; 0 with much data, 0.1 with little.")),
            ConfigField(
                "lora_target_modules",
                N_("Which layers get an adapter: all-linear, q,v or q,k,v,o, or module names."),
                is_number=False,
            ),
            ConfigField(
                "use_rslora", N_("Scales by the square root of the rank; helps from rank 64 on."), YES_NO
            ),
        ),
    ),
    FieldGroup(
        N_("Watching and saving"),
        (
            ConfigField("logging_steps", N_("A point on the curve every so many steps.")),
            ConfigField("eval_steps", N_("Measures the held-out loss every so many steps, and at the end.")),
            ConfigField(
                "early_stopping_patience",
                N_("Stops after so many measurements without a new best held-out loss; 0: never."),
            ),
            ConfigField("save_steps", N_("A checkpoint every so many steps; a lost worker goes on from it.")),
            ConfigField("save_total_limit", N_("Checkpoints to keep, at least 2.")),
        ),
    ),
    FieldGroup(
        N_("Device"),
        (
            ConfigField(
                "bf16", N_("Half the memory; auto uses it where the device is good at it."), ("auto", *YES_NO)
            ),
            ConfigField(
                "gradient_checkpointing", N_("Less memory for about a third more time per step."), YES_NO
            ),
            ConfigField("optim", N_("The paged 8-bit optimiser saves memory and needs a GPU."), OPTIMISERS),
        ),
    ),
)
FIELD_NAMES: Final = tuple(field.name for group in FIELD_GROUPS for field in group.fields)
