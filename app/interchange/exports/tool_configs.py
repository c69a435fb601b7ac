"""The files beside the data that tell another tool how to read it and what to train.

Names and values are those of Axolotl 0.19, LLaMA-Factory 0.9.5 and TRL 1.16. Text that people wrote stands
in JSON strings only, which are YAML too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

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
    lines = [
        f"# {_quoted(written.title)}: the data part of an Axolotl config. Add base_model and the rest of yours.",
        "# Axolotl trains the end of a turn where it is the tokenizer's eos_token; a model that ends its turns",
        "# otherwise needs it in eot_tokens.",
        "datasets:",
        *_axolotl_dataset(TRAIN_FILE, written),
    ]
    if written.has_validation:
        lines += ["test_datasets:", *_axolotl_dataset(VALIDATION_FILE, written)]
    return {"config.yml": "\n".join(lines) + "\n"}


def _axolotl_dataset(file: str, written: Written) -> list[str]:
    lines = [
        f"  - path: {file}",
        "    ds_type: json",
        "    split: train",
        "    type: chat_template",
        "    field_messages: messages",
        "    message_property_mappings:",
        "      role: role",
        "      content: content",
    ]
    if written.has_reasoning:
        lines.append("      reasoning_content: reasoning_content")
    if written.has_flags:
        lines.append("    message_field_training: train")
    return [*lines, '    roles_to_train: ["assistant"]', "    train_on_eos: turn"]


def llamafactory_files(written: Written) -> dict[str, str]:
    """dataset_info.json, and the training arguments that make LLaMA-Factory train the same turns."""
    validation = f"{written.name}_validation"
    info = {written.name: _llamafactory_entry(TRAIN_FILE, written)}
    lines = [
        f"# {_quoted(written.title)}: what decides which turns LLaMA-Factory trains. Add these lines to your",
        "# training YAML.",
        "dataset_dir: .",
        f"dataset: {written.name}",
    ]
    if written.has_validation:
        info[validation] = _llamafactory_entry(VALIDATION_FILE, written)
        lines.append(f"eval_dataset: {validation}")
    lines += [
        f"mask_history: {_boolean(written.mask == 'last_assistant')}",
        f"train_on_prompt: {_boolean(written.mask == 'everything')}",
    ]
    return {
        "dataset_info.json": json.dumps(info, indent=2) + "\n",
        "training_arguments.yaml": "\n".join(lines) + "\n",
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
    lines = [
        f"# {_quoted(written.title)}: the data part of a config for “trl sft --config sft_config.yaml”. Add",
        "# model_name_or_path and the rest of yours.",
        "datasets:",
        "  - path: json",
        f"    data_files: {TRAIN_FILE}",
        "    split: train",
        f"completion_only_loss: {_boolean(written.mask == 'last_assistant')}",
        f"assistant_only_loss: {_boolean(written.mask == 'assistant')}",
    ]
    if written.has_validation:
        lines.insert(2, f"# {VALIDATION_FILE} holds the conversations that were kept out of training.")
    return {"sft_config.yaml": "\n".join(lines) + "\n"}


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _quoted(text: str) -> str:
    return (
        json.dumps(text, ensure_ascii=False)
        .replace("\u2028", " ")
        .replace("\u2029", " ")
        .replace("\u0085", " ")
    )
