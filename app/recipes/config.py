"""The training config: each hyperparameter once, with its default, limits, label, meaning, section and unit.

Names are TRL's (its `SFTConfig` and `ModelConfig`). Form, REST and its OpenAPI document, command line, estimates
and worker all read this class, so a field that is added here is at every door, with the same refusals.
How long samples may be is no field of it: that is `max_length` of the mask settings, whose arrays are trained.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.core.errors import Conflict, ErrorDetail, Invalid
from app.core.i18n import say
from app.invalid import WrongField, wrong_fields
from app.recipes.sampling import SamplingFields
from app.recipes.setting import Section, setting
from app.sentences import N_, Sentence

_PROJECTIONS: Final = {"q,v": ["q_proj", "v_proj"], "q,k,v,o": ["q_proj", "k_proj", "v_proj", "o_proj"]}


class TrainingConfig(SamplingFields):
    """Everything a run is trained with. Defaults are the source material's standard training."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: float = setting(
        5e-5,
        N_("Learning rate"),
        N_("Size of a step. LoRA 5e-5 to 1e-4, QLoRA 1e-4 to 2e-4; lower it when the loss oscillates."),
        Section.LEARNING,
        gt=0,
        le=1e-2,
    )
    num_train_epochs: float = setting(
        3.0,
        N_("Epochs"),
        N_("Passes over the data. Below 1,000 conversations 5–10, up to 10,000 2–5, above 1–3."),
        Section.LEARNING,
        gt=0,
        le=100,
    )
    max_steps: int = setting(
        -1,
        N_("Step limit"),
        N_("Ends after so many steps, whatever the epochs say; -1: no limit."),
        Section.LEARNING,
        unit=N_("steps"),
        ge=-1,
        le=1_000_000,
    )
    # Not TRL's: it counts in steps, which say nothing of the time they take.
    max_train_minutes: float = setting(
        0.0,
        N_("Time budget"),
        N_(
            "Training takes so many minutes at most: speed is measured first, and the steps and the schedule are "
            "planned to fit. 0: no limit."
        ),
        Section.LEARNING,
        unit=N_("minutes"),
        ge=0,
        le=100_000,
    )
    per_device_train_batch_size: int = setting(
        4,
        N_("Batch size"),
        N_("Samples in memory at once. Lower it first when memory runs out."),
        Section.LEARNING,
        unit=N_("samples"),
        ge=1,
        le=512,
    )
    gradient_accumulation_steps: int = setting(
        4,
        N_("Gradient accumulation"),
        N_("Batches added up for one step. Batch × accumulation of 16 is the usual size."),
        Section.LEARNING,
        unit=N_("batches"),
        ge=1,
        le=512,
    )
    lr_scheduler_type: Literal[
        "cosine", "linear", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial"
    ] = setting(
        "cosine",
        N_("Learning rate schedule"),
        N_("How the learning rate changes over the run. Cosine is the usual one."),
        Section.LEARNING,
    )
    warmup_ratio: float = setting(
        0.1,
        N_("Warm-up share"),
        N_("Share of the steps in which the learning rate rises: 0.03 to 0.1."),
        Section.LEARNING,
        ge=0,
        le=0.5,
    )
    warmup_steps: int = setting(
        0,
        N_("Warm-up steps"),
        N_("The same as a number of steps, which then replaces warmup_ratio; 0: the share decides."),
        Section.LEARNING,
        unit=N_("steps"),
        ge=0,
        le=1_000_000,
    )
    weight_decay: float = setting(
        0.01,
        N_("Weight decay"),
        N_("Pulls weights towards zero against overfitting: 0 to 0.1."),
        Section.LEARNING,
        ge=0,
        le=1,
    )
    max_grad_norm: float = setting(
        1.0,
        N_("Gradient clipping"),
        N_("Clips large gradients. 1.0; lower it when the gradient norm jumps."),
        Section.LEARNING,
        gt=0,
        le=100,
    )
    seed: int = setting(
        42,
        N_("Seed"),
        N_("The same seed, data and config repeat the run."),
        Section.LEARNING,
        ge=0,
        le=2**31 - 1,
    )
    lora_r: int = setting(
        64,
        N_("Rank"),
        N_("Rank of the adapter: 8–16 for a format, 32–64 for a domain, 128–256 for complex tasks."),
        Section.ADAPTER,
        ge=1,
        le=1024,
    )
    lora_alpha: int = setting(
        128,
        N_("Alpha"),
        N_("Scale of the adapter. Twice lora_r is recommended."),
        Section.ADAPTER,
        ge=1,
        le=4096,
    )
    lora_dropout: float = setting(
        0.05,
        N_("Dropout"),
        N_("0.05; 0 with much data, 0.1 with little."),
        Section.ADAPTER,
        ge=0,
        le=0.9,
    )
    lora_target_modules: str | list[str] = setting(
        "all-linear",
        N_("Layers"),
        N_("Which layers get an adapter: all-linear, q,v or q,k,v,o, or module names."),
        Section.ADAPTER,
    )
    # PEFT's trainable_token_indices, for the one token that a base model may never have learned.
    trainable_tokens: Literal["auto", "end_of_turn", "none"] = setting(
        "auto",
        N_("Tokens trained too"),
        N_(
            "auto trains the row of the end-of-turn token where the base model never did; without it such a model does "
            "not stop."
        ),
        Section.ADAPTER,
    )
    use_rslora: bool = setting(
        False,
        N_("Rank-stabilised scale"),
        N_("Scales by the square root of the rank; helps from rank 64 on."),
        Section.ADAPTER,
    )
    logging_steps: int = setting(
        10,
        N_("Log every"),
        N_("A point on the curve every so many steps."),
        Section.WATCHING,
        unit=N_("steps"),
        ge=1,
        le=1_000_000,
    )
    eval_steps: int = setting(
        200,
        N_("Measure every"),
        N_("Measures the held-out loss every so many steps, and at the end."),
        Section.WATCHING,
        unit=N_("steps"),
        ge=1,
        le=1_000_000,
    )
    per_device_eval_batch_size: int = setting(
        4,
        N_("Held-out batch size"),
        N_("Held-out samples in memory at once. The loss is the same for any size."),
        Section.WATCHING,
        unit=N_("samples"),
        ge=1,
        le=512,
    )
    early_stopping_patience: int = setting(
        3,
        N_("Patience"),
        N_("Stops after so many measurements without a new best held-out loss; 0: never."),
        Section.WATCHING,
        unit=N_("measurements"),
        ge=0,
        le=100,
    )
    save_steps: int = setting(
        200,
        N_("Save every"),
        N_("A checkpoint every so many steps; a lost worker goes on from it."),
        Section.WATCHING,
        unit=N_("steps"),
        ge=1,
        le=1_000_000,
    )
    # At least two: one whole checkpoint is left while the newest is being written or turns out torn.
    save_total_limit: int = setting(
        5,
        N_("Checkpoints kept"),
        N_("Checkpoints to keep, at least 2."),
        Section.WATCHING,
        ge=2,
        le=100,
    )
    bf16: bool | Literal["auto"] = setting(
        "auto",
        N_("Half precision"),
        N_("Half the memory; auto uses it where the device is good at it."),
        Section.DEVICE,
    )
    gradient_checkpointing: bool = setting(
        False,
        N_("Gradient checkpointing"),
        N_("Less memory for about a third more time per step."),
        Section.DEVICE,
    )
    optim: Literal[
        "adamw_torch",
        "adamw_torch_fused",
        "adamw_8bit",
        "paged_adamw_8bit",
        "paged_adamw_32bit",
        "adafactor",
        "sgd",
    ] = setting(
        "adamw_torch",
        N_("Optimizer"),
        N_("Those with 8bit or paged in their names save memory and need a GPU."),
        Section.DEVICE,
    )
    # QLoRA: NF4, double quantisation, bf16 compute.
    load_in_4bit: bool = setting(
        False,
        N_("QLoRA: load the base model in 4 bits"),
        N_(
            "A quarter of the memory for the model, somewhat slower. The learning rate becomes 1e-4 unless the "
            "recipe or you set another."
        ),
        Section.BASE_MODEL,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float):
            raise PydanticKnownError("int_type" if kind is int else "float_type")
        return value

    @field_validator("max_steps")
    @classmethod
    def _some_steps(cls, value: int) -> int:
        if value == 0:
            raise ValueError(N_("max_steps must be -1, for as many steps as the epochs need, or at least 1."))
        return value

    @field_validator("lora_target_modules", mode="before")
    @classmethod
    def _named_modules(cls, value: object) -> object:
        if value == "all-linear":
            return value
        parts = _PROJECTIONS.get(value) or value.split(",") if isinstance(value, str) else value
        names = parts if isinstance(parts, list) else []
        modules = [name.strip() for name in names if isinstance(name, str) and name.strip()]
        if not modules or len(modules) > 100 or len(modules) != len(names):
            raise ValueError(
                N_("lora_target_modules must be all-linear, or module names separated by commas.")
            )
        return modules

    @field_validator("bf16", mode="before")
    @classmethod
    def _auto_or_not(cls, value: object) -> object:
        found = {"auto": "auto", "true": True, "false": False}.get(str(value).strip().lower())
        if found is None:
            raise PydanticKnownError("literal_error", {"expected": "auto, true, false"})
        return found

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """A config that this or an earlier version wrote. Raises Conflict for anything else."""
        values = {_FORMER_NAMES.get(name, name): value for name, value in document.items()}
        # Workers once wrote that nothing stops a run early, and that nothing limits its samples, as null.
        if values.get("early_stopping_patience", 0) is None:
            values["early_stopping_patience"] = 0
        if values.get("max_length", 0) is None:
            del values["max_length"]
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise Conflict(
                N_("A stored training config cannot be read: %(reason)s Start a new run with its values."),
                reason=say(wrong_values(error)[0].sentence),
            ) from error

    def to_json(self) -> dict[str, Any]:
        """What is stored and sent: every field, plain JSON."""
        return self.model_dump(mode="json")


# PEFT's own names, as checkpoints once had them.
_FORMER_NAMES: Final = {"r": "lora_r", "target_modules": "lora_target_modules"}
_NAMED_OTHERWISE: Final = N_("%(field)s is called %(name)s here, as TRL's command line spells it.")
_MISSPELT: Final = N_("There is no field %(field)s here. Did you mean %(name)s?")
_MAX_LENGTH: Final = N_(
    "max_length belongs to the mask settings: ask for a mask check with it. The checked arrays are trained as "
    "they are."
)


def wrong_values(error: ValidationError) -> list[WrongField]:
    """What is wrong with a config, a sentence a field."""
    return [_pointed(wrong) for wrong in wrong_fields(error.errors())]


def _pointed(wrong: WrongField) -> WrongField:
    """An unknown field's sentence, where we know what was meant."""
    if wrong.field == "max_length":
        return WrongField(wrong.field, Sentence(_MAX_LENGTH))
    if wrong.field in _FORMER_NAMES:
        name = _FORMER_NAMES[wrong.field]
        return WrongField(wrong.field, Sentence.of(_NAMED_OTHERWISE, field=wrong.field, name=name))
    if wrong.field not in TrainingConfig.model_fields:
        meant = get_close_matches(wrong.field, TrainingConfig.model_fields, n=1, cutoff=0.8)
        if meant:
            return WrongField(wrong.field, Sentence.of(_MISSPELT, field=wrong.field, name=meant[0]))
    return wrong


def parse_config(values: Mapping[str, object]) -> TrainingConfig:
    """A checked config. Raises Invalid about the first wrong field, with all of them in `details`."""
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        wrong = wrong_values(error)
        details: list[ErrorDetail] = [{"field": item.field, "message": say(item.sentence)} for item in wrong]
        raise Invalid(wrong[0].sentence, field=wrong[0].field, details=details) from error
