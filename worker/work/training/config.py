"""The run's configuration, checked field by field: names are those of TRL, transformers and PEFT.

An unknown field is refused by name: a misspelt one would otherwise train with a default that nobody chose.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from app.sentences import N_
from worker.work.protocol import JobFailed

SCHEDULERS = ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup")
OPTIMIZERS = (
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "paged_adamw_8bit",
    "paged_adamw_32bit",
    "adafactor",
    "sgd",
)
# TRL's command line spells these with a prefix that PEFT's LoraConfig does without.
ALIASES = {"lora_r": "r", "lora_target_modules": "target_modules"}


@dataclass(frozen=True)
class TrainConfig:
    """Defaults are the standard recipe's."""

    per_device_train_batch_size: int = 4
    per_device_eval_batch_size: int = 4
    gradient_accumulation_steps: int = 4
    num_train_epochs: float = 3.0
    max_steps: int = -1
    learning_rate: float = 5e-5
    lr_scheduler_type: str = "cosine"
    warmup_ratio: float = 0.1
    warmup_steps: int = 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    bf16: bool | Literal["auto"] = "auto"
    logging_steps: int = 10
    eval_steps: int = 200
    save_steps: int = 200
    save_total_limit: int = 5
    seed: int = 42
    early_stopping_patience: int | None = None
    max_length: int | None = None
    optim: str = "adamw_torch_fused"
    gradient_checkpointing: bool = False
    r: int = 64
    lora_alpha: int = 128
    lora_dropout: float = 0.05
    target_modules: str | list[str] = "all-linear"
    use_rslora: bool = False
    load_in_4bit: bool = False


# Smallest and largest value allowed, both inclusive.
LIMITS: dict[str, tuple[float, float]] = {
    "per_device_train_batch_size": (1, 4096),
    "per_device_eval_batch_size": (1, 4096),
    "gradient_accumulation_steps": (1, 4096),
    "num_train_epochs": (0.001, 1000),
    "max_steps": (-1, 10_000_000),
    "learning_rate": (0, 1),
    "warmup_ratio": (0, 1),
    "warmup_steps": (0, 10_000_000),
    "weight_decay": (0, 10),
    "max_grad_norm": (0, 1000),
    "logging_steps": (1, 10_000_000),
    "eval_steps": (1, 10_000_000),
    "save_steps": (1, 10_000_000),
    # At least two, so that one whole checkpoint is left while the newest is being written or turns out torn.
    "save_total_limit": (2, 1000),
    "seed": (0, 2**32 - 1),
    "early_stopping_patience": (0, 1000),  # 0: never stop early
    "max_length": (1, 10_000_000),
    "r": (1, 4096),
    "lora_alpha": (1, 100_000),
    "lora_dropout": (0, 0.95),
}


def read_config(raw: dict[str, Any]) -> TrainConfig:
    """Check every field; raises JobFailed naming the first that is unknown, mistyped or out of range."""
    values: dict[str, Any] = {}
    known = {field.name: field.type for field in fields(TrainConfig)}
    for given, value in raw.items():
        name = ALIASES.get(given, given)
        if name not in known:
            raise JobFailed(N_("The configuration field %(field)s is not known."), field=given)
        if name in values and values[name] != value:
            raise JobFailed(
                N_("The configuration gives %(field)s twice, under two names, with different values."),
                field=name,
            )
        values[name] = _checked(given, name, known[name], value)
    config = TrainConfig(**values)
    for field, allowed in (("lr_scheduler_type", SCHEDULERS), ("optim", OPTIMIZERS)):
        if getattr(config, field) not in allowed:
            raise JobFailed(
                N_("%(field)s is %(value)s; it must be one of %(allowed)s."),
                field=field,
                value=str(getattr(config, field)),
                allowed=", ".join(allowed),
            )
    if config.max_steps == 0:
        raise JobFailed(N_("max_steps is 0: leave it out, or give the number of steps to train."))
    return config


def _checked(given: str, name: str, kind: Any, value: Any) -> Any:
    if not _fits(kind, value):
        raise JobFailed(
            N_("The configuration field %(field)s cannot be %(value)s; it takes %(kind)s."),
            field=given,
            value=repr(value)[:80],
            kind=getattr(kind, "__name__", str(kind)),
        )
    if value is not None and name in LIMITS:
        smallest, largest = LIMITS[name]
        if not smallest <= value <= largest:
            raise JobFailed(
                N_("The field %(field)s is %(value)s; it must be from %(smallest)s to %(largest)s."),
                field=given,
                value=str(value),
                smallest=f"{smallest:g}",
                largest=f"{largest:g}",
            )
    return value


def _fits(kind: Any, value: Any) -> bool:
    if kind is bool or kind is str:
        return isinstance(value, kind)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == list[str]:
        return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
    if kind is type(None):
        return value is None
    if kind == Literal["auto"]:
        return bool(value == "auto")
    return any(_fits(option, value) for option in get_args(kind))
