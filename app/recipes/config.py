"""The training config: every field spelled as TRL and PEFT spell it, with the range that makes sense.

A value outside its range is refused with the field's name; the worker accepts exactly these keys.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.core.errors import Invalid
from app.core.i18n import N_

TargetModules = Literal["all-linear", "q,v", "q,k,v,o"]
_PROJECTIONS = {"q,v": ["q_proj", "v_proj"], "q,k,v,o": ["q_proj", "k_proj", "v_proj", "o_proj"]}


class TrainingConfig(BaseModel):
    """Everything a run is trained with. Defaults are the source material's standard training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    logging_steps: Annotated[int, Field(ge=1)] = 10
    eval_steps: Annotated[int, Field(ge=1)] = 200
    save_steps: Annotated[int, Field(ge=1)] = 200
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

    @field_validator("lora_target_modules")
    @classmethod
    def _named_modules(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list):
            if not value or not all(name.strip() for name in value):
                raise ValueError("name at least one module")
            return value
        if value == "all-linear":
            return value
        modules = _PROJECTIONS.get(value) or [name.strip() for name in value.split(",") if name.strip()]
        if not modules:
            raise ValueError('use "all-linear" or module names separated by commas')
        return modules


def parse_config(values: dict[str, object]) -> TrainingConfig:
    """A checked config. Raises Invalid naming the first wrong field."""
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "config"
        raise Invalid(
            N_("%(field)s: %(reason)s"), field=field, details=[], **{"reason": first["msg"]}
        ) from error
