"""A training config of LLaMA-Factory or Axolotl read as ours: what has a meaning here, and a note for each key that has none.
Recipes that were exported here are read as well.

Text in, values and sentences out: it loads no database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.i18n import say
from app.recipes.config import TrainingConfig
from app.recipes.strict_yaml import no_yaml, read_yaml
from app.recipes.wrong_fields import wrong_values
from app.sentences import N_, Sentence

Tool = Literal["llamafactory", "axolotl", "studio"]
TITLES: Final[Mapping[Tool, str]] = {
    "llamafactory": "LLaMA-Factory",
    "axolotl": "Axolotl",
    "studio": "SFT Studio",
}
# The key that tells a recipe of ours, with the number of its form as value.
OWN_KEY: Final = "sft_studio_recipe"
OWN_FORM: Final = 1
LARGEST_BYTES: Final = 100_000
TOO_LARGE: Final = N_("This file is too large for a training config.")

_NO_MEANING: Final = N_("%(key)s has no meaning here and is left out.")
_ELSEWHERE: Final = N_(
    "%(key)s is chosen here with the data, the model or the mask settings: look at it there."
)
_NOT_TAKEN: Final = N_("%(key)s: %(value)s is nothing that can be trained here and is left out.")
# Of several keys that are left out for the same reason: by the sentence about one.
_OF_SEVERAL: Final = {
    _NOT_TAKEN: N_("%(count)d values are nothing that can be trained here and are left out: %(keys)s."),
    _ELSEWHERE: N_(
        "%(count)d keys are chosen here with the data, the model or the mask settings; look at them there: %(keys)s."
    ),
    _NO_MEANING: N_("%(count)d keys have no meaning here and are left out: %(keys)s."),
}
_TWICE: Final = N_("lora_alpha is not in the file: LLaMA-Factory takes twice the rank then, %(value)d.")
_WRONG: Final = N_("%(key)s is left out: %(reason)s")
_NO_ADAPTER: Final = N_("adapter is not in the file: Axolotl trains every weight then (use_peft: false).")

# Keys that both tools call as we do.
_SAME: Final = [
    "learning_rate",
    "max_steps",
    "gradient_accumulation_steps",
    "warmup_ratio",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "seed",
    "logging_steps",
    "save_steps",
    "eval_steps",
    "save_total_limit",
    "lora_alpha",
    "lora_dropout",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
]
_LLAMAFACTORY: Final = {
    **{name: name for name in _SAME},
    "lora_rank": "lora_r",
    "num_train_epochs": "num_train_epochs",
    "per_device_train_batch_size": "per_device_train_batch_size",
    "per_device_eval_batch_size": "per_device_eval_batch_size",
    "lr_scheduler_type": "lr_scheduler_type",
    "optim": "optim",
    "use_rslora": "use_rslora",
    "use_dora": "use_dora",
    "bf16": "bf16",
    "early_stopping_steps": "early_stopping_patience",
    "enable_liger_kernel": "use_liger_kernel",
}
_AXOLOTL: Final = {
    **{name: name for name in _SAME},
    "lora_r": "lora_r",
    "num_epochs": "num_train_epochs",
    "micro_batch_size": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "lr_scheduler": "lr_scheduler_type",
    "optimizer": "optim",
    "peft_use_rslora": "use_rslora",
    "peft_use_dora": "use_dora",
    "bf16": "bf16",
    "gradient_checkpointing": "gradient_checkpointing",
    "lora_target_modules": "lora_target_modules",
    "early_stopping_patience": "early_stopping_patience",
}
_NAMES: Final[Mapping[Tool, Mapping[str, str]]] = {
    "llamafactory": _LLAMAFACTORY,
    "axolotl": _AXOLOTL,
    "studio": {name: name for name in TrainingConfig.model_fields},
}
# Axolotl switches Liger's kernels on one by one.
_LIGER_PARTS: Final = (
    "liger_rope",
    "liger_rms_norm",
    "liger_rms_norm_gated",
    "liger_layer_norm",
    "liger_swiglu",
    "liger_glu_activation",
    "liger_cross_entropy",
    "liger_fused_linear_cross_entropy",
)
# What tells the tools apart.
_TELLING: Final[Mapping[Tool, frozenset[str]]] = {
    "llamafactory": frozenset({"finetuning_type", "model_name_or_path", "stage", "lora_rank", "cutoff_len"}),
    "axolotl": frozenset(
        {"base_model", "adapter", "micro_batch_size", "num_epochs", "sequence_len", "lora_r"}
    ),
}
_CHOSEN_ELSEWHERE: Final = frozenset(
    [
        "model_name_or_path",
        "model_revision",
        "base_model",
        "revision_of_model",
        "dataset",
        "eval_dataset",
        "datasets",
        "test_datasets",
        "dataset_dir",
        "tokenized_path",
        "template",
        "chat_template",
        "cutoff_len",
        "sequence_len",
        "train_on_prompt",
        "mask_history",
        "train_on_inputs",
        "roles_to_train",
        "val_size",
        "val_set_size",
        "output_dir",
    ]
)
# The names that other tools have for an optimizer of ours.
_OPTIMIZERS: Final = {"adamw_bnb_8bit": "adamw_8bit", "adamw_hf": "adamw_torch", "adamw": "adamw_torch"}


@dataclass
class ForeignConfig:
    """`values` are fields of ours, unjudged; `notes` say what was left out, once a reason, keys in the order of the file.

    `keys` are those of the file that set each field. `name` and `purpose` are a recipe's of ours.
    """

    tool: Tool
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[Sentence] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    name: str = ""
    purpose: str = ""
    left_out: list[Sentence] = field(default_factory=list)

    def tell_left_out(self) -> None:
        """Notes of what was `left_out`, in one sentence where one reason has several keys."""
        for template, of_several in _OF_SEVERAL.items():
            same = [one for one in self.left_out if one.template == template]
            keys = ", ".join(": ".join(map(str, one.values.values())) for one in same)
            self.notes += same if len(same) < 2 else [Sentence.of(of_several, count=len(same), keys=keys)]
        self.left_out = []


def read_foreign(text: str) -> ForeignConfig:
    """A tool's YAML. Raises Invalid for what is no such file."""
    if len(text.encode()) > LARGEST_BYTES:
        raise Invalid(TOO_LARGE, field="config")
    found = read_yaml(text)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise Invalid(
            N_("A training config is a mapping of names to values; this file is none."), field="config"
        )
    read, settings = _own(found) if OWN_KEY in found else _strange(found)
    for key, value in settings.items():
        try:
            _take(read, key, value)
        except ValueError as error:  # a number of more digits than can be written
            raise no_yaml(error) from error
        for name in read.values:
            read.keys.setdefault(name, key)
    read.tell_left_out()
    if read.tool == "llamafactory":
        _scale(read)
    # A whole config of its own; a piece of one that was pasted may have left it out.
    is_whole = {"base_model", "datasets"} <= settings.keys()
    if read.tool == "axolotl" and is_whole and "adapter" not in settings:
        read.values["use_peft"] = False
        read.keys["use_peft"] = "adapter"
        read.notes.append(Sentence.of(_NO_ADAPTER))
    return read


def _scale(read: ForeignConfig) -> None:
    """Its own alpha where the file has a rank alone: a rank beside the standard's alpha would be another scale by far."""
    rank = str(read.values.get("lora_r", ""))
    if "lora_alpha" in read.values or not (rank.isascii() and rank.isdigit() and len(rank) < 6):
        return
    read.values["lora_alpha"] = 2 * int(rank)
    read.keys["lora_alpha"] = read.keys["lora_r"]
    read.notes.append(Sentence.of(_TWICE, value=2 * int(rank)))


def _strange(found: dict[str, Any]) -> tuple[ForeignConfig, dict[str, Any]]:
    """Another tool's file, and the keys in it."""
    matches = {tool: len(keys & found.keys()) for tool, keys in _TELLING.items()}
    tool = max(matches, key=lambda one: matches[one])
    if not matches[tool]:
        raise Invalid(
            N_("This is neither a config of LLaMA-Factory nor one of Axolotl: none of their keys is in it."),
            field="config",
        )
    return ForeignConfig(tool), found


def _own(found: dict[str, Any]) -> tuple[ForeignConfig, dict[str, Any]]:
    """A recipe that was exported here, by this or an earlier program, and what it sets."""
    settings = found.get("settings") or {}
    if found[OWN_KEY] != OWN_FORM or not isinstance(settings, dict):
        raise Invalid(
            N_(
                "This recipe was written by another version of SFT Studio, or was changed: %(key)s should be %(form)d."
            ),
            field="config",
            key=OWN_KEY,
            form=OWN_FORM,
        )
    read = ForeignConfig("studio", name=str(found.get("name") or ""), purpose=str(found.get("purpose") or ""))
    for key in sorted(found.keys() - {OWN_KEY, "name", "purpose", "settings"}):
        read.left_out.append(Sentence.of(_NO_MEANING, key=key))
    return read, {str(key): value for key, value in settings.items()}


def read_sound(text: str) -> ForeignConfig:
    """As `read_foreign`, with values of our types that a config takes; a wrong one is left out, and a note says why."""
    read = read_foreign(text)
    while True:
        try:
            config = TrainingConfig.model_validate(read.values)
        except ValidationError as error:
            for wrong in wrong_values(error, TrainingConfig.model_fields):
                # What is wrong with an entry of a list is told of the list.
                name = wrong.field.partition(".")[0]
                read.values.pop(name, None)
                read.notes.append(Sentence.of(_WRONG, key=read.keys[name], reason=say(wrong.sentence)))
        else:
            read.values = config.model_dump(mode="json", include=set(read.values))
            return read


def _take(read: ForeignConfig, key: str, value: Any) -> None:
    name = _NAMES[read.tool].get(key)
    if key in _SPECIAL and read.tool != "studio":
        if not _SPECIAL[key](read.values, value):
            read.left_out.append(Sentence.of(_NOT_TAKEN, key=key, value=str(value)[:80]))
    elif name is not None:
        _set(read, name, key, value)
    elif key in _CHOSEN_ELSEWHERE and read.tool != "studio":
        read.left_out.append(Sentence.of(_ELSEWHERE, key=key))
    else:
        read.left_out.append(Sentence.of(_NO_MEANING, key=key))


def _set(read: ForeignConfig, name: str, key: str, value: Any) -> None:
    # An empty value is a key that says nothing.
    if value is None:
        return
    if name == "optim":
        value = _OPTIMIZERS.get(str(value), value)
    if name == "bf16" and str(value).lower() == "full":
        value = True
    # Numbers such as 1e-4 are text in YAML 1.1.
    read.values[name] = value


def _finetuning_type(values: dict[str, Any], value: Any) -> bool:
    if value in ("lora", "full"):
        values["use_peft"] = value == "lora"
        return True
    return False


def _adapter(values: dict[str, Any], value: Any) -> bool:
    if value in ("lora", "qlora"):
        values["use_peft"] = True
        if value == "qlora":
            values["load_in_4bit"] = True
        return True
    if value in (None, ""):
        values["use_peft"] = False
        return True
    return False


def _four_bits(values: dict[str, Any], value: Any) -> bool:
    if value in (4, "4", True):
        values["load_in_4bit"] = True
    return value in (4, "4", True, False, None)


def _target(values: dict[str, Any], value: Any) -> bool:
    values["lora_target_modules"] = "all-linear" if value == "all" else value
    return True


def _linear(values: dict[str, Any], value: Any) -> bool:
    if value is True:
        values["lora_target_modules"] = "all-linear"
    return isinstance(value, bool | None)


def _recomputing_off(values: dict[str, Any], value: Any) -> bool:
    if isinstance(value, bool):
        values["gradient_checkpointing"] = not value
    return isinstance(value, bool)


def _liger_part(values: dict[str, Any], value: Any) -> bool:
    """One of several switches: here they are one."""
    if value is True:
        values["use_liger_kernel"] = True
    return isinstance(value, bool | None)


def _plugins(values: dict[str, Any], value: Any) -> bool:
    """Liger's own says nothing without its switches; no other has a meaning here."""
    return isinstance(value, list) and all(str(one).endswith("LigerPlugin") for one in value)


_SPECIAL: Final[Mapping[str, Callable[[dict[str, Any], Any], bool]]] = {
    "finetuning_type": _finetuning_type,
    "adapter": _adapter,
    "quantization_bit": _four_bits,
    "load_in_4bit": _four_bits,
    "lora_target": _target,
    "lora_target_linear": _linear,
    "disable_gradient_checkpointing": _recomputing_off,
    "plugins": _plugins,
    **dict.fromkeys(_LIGER_PARTS, _liger_part),
}
