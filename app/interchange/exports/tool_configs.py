"""The files beside the data that tell another tool how to read it and what to train.

Names and values are those of Axolotl 0.19, LLaMA-Factory 0.9.5 and TRL 1.16.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from app.dialogue.trained import SourceMask
from app.interchange.records.dataset_info import LLAMAFACTORY_TAGS


@dataclass(frozen=True)
class Written:
    """What was written: `name` in plain ASCII, `title` for people, the data files, and what is trained."""

    name: str
    title: str
    has_validation: bool
    mask: SourceMask
    has_flags: bool = False
    has_reasoning: bool = False
    has_tools: bool = False


TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"


def axolotl_files(written: Written) -> dict[str, str]:
    """config.yml with the entries of `datasets` and `test_datasets`."""
    remarks = (
        f"{one_line(written.title)}: the data part of an Axolotl config. Add base_model and the rest of yours.",
        "Axolotl trains the end of a turn where it is the tokenizer's eos_token; a model that ends its turns",
        "otherwise needs it in eot_tokens.",
    )
    config = {"datasets": [_axolotl_dataset(TRAIN_FILE, written)]}
    if written.has_validation:
        config["test_datasets"] = [_axolotl_dataset(VALIDATION_FILE, written)]
    return {"config.yml": commented_yaml(remarks, config)}


def _axolotl_dataset(file: str, written: Written) -> dict[str, Any]:
    names = ["role", "content", *(["reasoning_content"] if written.has_reasoning else [])]
    return {
        "path": file,
        "ds_type": "json",
        "split": "train",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {name: name for name in names},
        **({"message_field_training": "train"} if written.has_flags else {}),
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }


def llamafactory_files(written: Written) -> dict[str, str]:
    """dataset_info.json, and the training arguments that make LLaMA-Factory train the same turns."""
    validation = f"{written.name}_validation"
    info = {written.name: _llamafactory_entry(TRAIN_FILE, written)}
    if written.has_validation:
        info[validation] = _llamafactory_entry(VALIDATION_FILE, written)
    remarks = (
        f"{one_line(written.title)}: what decides which turns LLaMA-Factory trains. Add these lines to your",
        "training YAML.",
    )
    arguments = {
        "dataset_dir": ".",
        "dataset": written.name,
        **({"eval_dataset": validation} if written.has_validation else {}),
        "mask_history": written.mask == "last_assistant",
        "train_on_prompt": written.mask == "everything",
    }
    return {
        "dataset_info.json": json.dumps(info, indent=2) + "\n",
        "training_arguments.yaml": commented_yaml(remarks, arguments),
    }


def _llamafactory_entry(file: str, written: Written) -> dict[str, object]:
    # All tags: LLaMA-Factory forgets its defaults for the rest as soon as one is named.
    return {
        "file_name": file,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", **({"tools": "tools"} if written.has_tools else {})},
        "tags": LLAMAFACTORY_TAGS,
    }


def trl_files(written: Written) -> dict[str, str]:
    """sft_config.yaml for `trl sft --config`."""
    remarks = [
        f"{one_line(written.title)}: the data part of a config for “trl sft --config sft_config.yaml”. Add",
        "model_name_or_path and the rest of yours.",
    ]
    if written.has_validation:
        remarks.append(f"{VALIDATION_FILE} holds the conversations that were kept out of training.")
    config = {
        "datasets": [{"path": "json", "data_files": TRAIN_FILE, "split": "train"}],
        "completion_only_loss": written.mask == "last_assistant",
        "assistant_only_loss": written.mask == "assistant",
    }
    return {"sft_config.yaml": commented_yaml(remarks, config)}


def commented_yaml(remarks: Iterable[str], value: dict[str, Any]) -> str:
    """The mapping in its own order, below remarks of a line each."""
    head = "".join(f"# {remark}\n" for remark in remarks)
    return head + yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def one_line(title: str) -> str:
    """A title that people wrote, unable to end the comment it stands in."""
    return json.dumps("".join(c if c.isprintable() else " " for c in title), ensure_ascii=False)
