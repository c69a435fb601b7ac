"""The training config: each hyperparameter once, with its default, limits, label, meaning, section and unit.

Names are TRL's (its `SFTConfig` and `ModelConfig`). Form, REST and its OpenAPI document, command line, estimates
and worker all read this class, so a field that is added here is at every door, with the same refusals.
How long samples may be is no field of it: that is `max_length` of the mask settings, whose arrays are trained.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.core.errors import Conflict, ErrorDetail, Invalid
from app.core.i18n import say
from app.invalid import WrongField
from app.recipes.backend import BackendFields
from app.recipes.liger import LigerFields
from app.recipes.method import Method
from app.recipes.mixing import MixingFields
from app.recipes.processes import ProcessFields
from app.recipes.sampling import SamplingFields
from app.recipes.setting import Section, setting
from app.recipes.watching import WatchingFields
from app.recipes.wrong_fields import FORMER_NAMES, wrong_values
from app.sentences import N_

_PROJECTIONS: Final = {"q,v": ["q_proj", "v_proj"], "q,k,v,o": ["q_proj", "k_proj", "v_proj", "o_proj"]}


class TrainingConfig(WatchingFields, SamplingFields, MixingFields, BackendFields, LigerFields, ProcessFields):
    """Everything a run is trained with. Defaults are the source material's standard training."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # TRL's own switch between an adapter and all weights; before the fields that depend on it.
    use_peft: bool = setting(
        True,
        N_("Train an adapter"),
        N_(
            "true trains a LoRA adapter beside the frozen model; false trains every weight (full fine-tune), which "
            "takes 16 bytes of memory a parameter and makes a whole model. Its learning rate becomes 2e-5 unless the "
            "recipe or you set another."
        ),
        Section.METHOD,
    )
    # QLoRA: NF4, double quantisation, bf16 compute.
    load_in_4bit: bool = setting(
        False,
        N_("QLoRA: load the base model in 4 bits"),
        N_(
            "On a GPU a quarter of the memory for the model, somewhat slower; on a CPU it saves none. The learning rate "
            "becomes 1e-4 unless the recipe or you set another."
        ),
        Section.METHOD,
    )
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
    adam_beta1: float = setting(
        0.9,
        N_("Adam: momentum"),
        N_("How much of the earlier direction each step keeps. 0.9 suits nearly always."),
        Section.LEARNING,
        ge=0,
        le=0.9999,
    )
    adam_beta2: float = setting(
        0.999,
        N_("Adam: memory of sizes"),
        N_(
            "How slowly the typical size of gradients is forgotten. 0.999; 0.95 to 0.99 where the loss jumps."
        ),
        Section.LEARNING,
        ge=0,
        le=0.9999,
    )
    adam_epsilon: float = setting(
        1e-8,
        N_("Adam: smallest divisor"),
        N_("Keeps steps finite where gradients vanish. 1e-8; 1e-6 where half precision makes the loss jump."),
        Section.LEARNING,
        gt=0,
        le=1e-2,
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
        N_("Rank-stabilised scale (rsLoRA)"),
        N_(
            "Divides alpha by the square root of the rank and not by the rank: a high rank, from 64 on, learns as "
            "strongly as a low one."
        ),
        Section.ADAPTER,
    )
    use_dora: bool = setting(
        False,
        N_("DoRA: direction and size apart"),
        N_(
            "Trains how large each row of a layer is beside where it points; often better at low ranks, and up to "
            "twice as slow."
        ),
        Section.ADAPTER,
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

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float):
            raise PydanticKnownError("int_type" if kind is int else "float_type")
        return value

    @field_validator("load_in_4bit", "use_dora")
    @classmethod
    def _needs_an_adapter(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("use_peft") is False:
            raise ValueError(
                N_("%(field)s needs an adapter: set it to false for a full fine-tune, or use_peft to true.")
            )
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
        values = {FORMER_NAMES.get(name, name): value for name, value in document.items()}
        # Workers once wrote that nothing stops a run early, and that nothing limits its samples, as null.
        if values.get("early_stopping_patience", 0) is None:
            values["early_stopping_patience"] = 0
        if values.get("max_length", 0) is None:
            del values["max_length"]
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = wrong_values(error, cls.model_fields)
            raise Conflict(
                N_("A stored training config cannot be read: %(reason)s Start a new run with its values."),
                details=_details(wrong),
                reason=say(wrong[0].sentence),
            ) from error

    @property
    def method(self) -> Method:
        """How the weights are trained."""
        return Method.of(use_peft=self.use_peft, load_in_4bit=self.load_in_4bit)

    @property
    def batches_per_step(self) -> int:
        """How many batches add up to one step, over all processes."""
        return self.gradient_accumulation_steps * self.num_processes

    @property
    def samples_per_step(self) -> int:
        """How many samples a step takes, over all processes."""
        return self.per_device_train_batch_size * self.batches_per_step

    def to_json(self) -> dict[str, Any]:
        """What is stored and sent: every field, plain JSON."""
        return self.model_dump(mode="json")


def parse_config(values: Mapping[str, object]) -> TrainingConfig:
    """A checked config. Raises Invalid about the first wrong field, with all of them in `details`."""
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        wrong = wrong_values(error, TrainingConfig.model_fields)
        raise Invalid(wrong[0].sentence, field=wrong[0].field, details=_details(wrong)) from error


def _details(wrong: list[WrongField]) -> list[ErrorDetail]:
    return [{"field": item.field, "message": say(item.sentence)} for item in wrong]
