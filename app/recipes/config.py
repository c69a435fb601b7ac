"""The training config: every field spelled as TRL and PEFT spell it, with the range that makes sense.

A value outside its range is refused with the field's name; the worker accepts exactly these keys.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.core.errors import Invalid
from app.core.i18n import gettext
from app.sentences import N_

_PROJECTIONS = {"q,v": ["q_proj", "v_proj"], "q,k,v,o": ["q_proj", "k_proj", "v_proj", "o_proj"]}
SCHEDULERS: Final = ("cosine", "linear", "constant", "constant_with_warmup")
OPTIMISERS: Final = ("adamw_torch", "paged_adamw_8bit")


class TrainingConfig(BaseModel):
    """Everything a run is trained with. Defaults are the source material's standard training."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: Annotated[float, Field(gt=0, le=1e-2)] = 5e-5
    num_train_epochs: Annotated[float, Field(gt=0, le=100)] = 3.0
    # -1: as many as the epochs need.
    max_steps: Annotated[int, Field(ge=-1, le=1_000_000)] = -1
    per_device_train_batch_size: Annotated[int, Field(ge=1, le=512)] = 4
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=512)] = 4
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup_ratio: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0, le=100)] = 1.0
    bf16: bool | Literal["auto"] = "auto"
    gradient_checkpointing: bool = False
    optim: Literal["adamw_torch", "paged_adamw_8bit"] = "adamw_torch"
    logging_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    eval_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    save_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    save_total_limit: Annotated[int, Field(ge=2, le=100)] = 5
    # 0: never stop early. Otherwise: evaluations in a row without a new best eval loss.
    early_stopping_patience: Annotated[int, Field(ge=0, le=100)] = 3
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 42
    lora_r: Annotated[int, Field(ge=1, le=1024)] = 64
    lora_alpha: Annotated[int, Field(ge=1, le=4096)] = 128
    lora_dropout: Annotated[float, Field(ge=0, le=0.9)] = 0.05
    lora_target_modules: str | list[str] = "all-linear"
    use_rslora: bool = False
    # QLoRA: NF4, double quantisation, bf16 compute.
    load_in_4bit: bool = False

    @field_validator("max_steps")
    @classmethod
    def _some_steps(cls, value: int) -> int:
        if value == 0:
            raise ValueError(N_("Use -1 for as many steps as the epochs need, or at least 1."))
        return value

    @field_validator("lora_target_modules")
    @classmethod
    def _named_modules(cls, value: str | list[str]) -> str | list[str]:
        if value == "all-linear":
            return value
        parts = value if isinstance(value, list) else _PROJECTIONS.get(value) or value.split(",")
        modules = [name.strip() for name in parts if name.strip()]
        if not modules or len(modules) > 100 or len(modules) != len(parts):
            raise ValueError(N_("Use all-linear, or module names separated by commas."))
        return modules


_SENTENCES: Final = {
    "greater_than": N_("Must be more than %(gt)s."),
    "greater_than_equal": N_("Must be at least %(ge)s."),
    "less_than_equal": N_("Must be at most %(le)s."),
    "literal_error": N_("Must be one of: %(expected)s."),
    "extra_forbidden": N_("There is no such field."),
}
_WHOLE_NUMBER: Final = N_("Must be a whole number.")
_NUMBER: Final = N_("Must be a number.")
_YES_OR_NO: Final = N_("Must be true or false.")
_UNUSABLE: Final = N_("This value cannot be used.")


def _sentence(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence in the reader's language."""
    kind: str = error["type"]
    context = {
        name: f"{value:g}" if isinstance(value, float) else value
        for name, value in error.get("ctx", {}).items()
    }
    if kind == "value_error":
        return gettext(str(context["error"]))
    if kind in _SENTENCES:
        return gettext(_SENTENCES[kind]) % context
    for prefix, message in (
        ("int", _WHOLE_NUMBER),
        ("float", _NUMBER),
        ("finite", _NUMBER),
        ("bool", _YES_OR_NO),
    ):
        if kind.startswith(prefix):
            return gettext(message)
    return gettext(_UNUSABLE)


def config_errors(values: dict[str, Any]) -> dict[str, str]:
    """What is wrong with each field, by name; empty when all is well."""
    try:
        TrainingConfig.model_validate(values)
    except ValidationError as error:
        found: dict[str, str] = {}
        for item in error.errors():
            found.setdefault(str(item["loc"][0]) if item["loc"] else "config", _sentence(item))
        return found
    return {}


def parse_config(values: dict[str, Any]) -> TrainingConfig:
    """A checked config. Raises Invalid naming the first wrong field, with all of them in `details`."""
    wrong = config_errors(values)
    if wrong:
        field, reason = next(iter(wrong.items()))
        raise Invalid(
            N_("%(field)s: %(reason)s"),
            field=field,
            details=[{"field": name, "message": message} for name, message in wrong.items()],
            reason=reason,
        )
    return TrainingConfig.model_validate(values)
