"""A folder that is whole without this program: PEFT's or transformers' files, the tokenizer, a card that says what it is.

Nothing in it names a folder of the server. Whoever has the base model's id loads it with PEFT and transformers alone;
of a full fine-tune nothing else is needed.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

from app.recipes.config import TrainingConfig
from app.recipes.method import Method
from app.runs.provenance import Provenance
from app.runs.result import RunResult

CARD: Final = "README.md"
# The same facts for programs.
PROVENANCE: Final = "sft_studio.json"
_TOKENIZER_FILES: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
)
_MORE_TEMPLATES: Final = "additional_chat_templates"
_WHAT: Final = {
    Method.LORA: "A LoRA adapter for",
    Method.QLORA: "A LoRA adapter (trained on 4-bit weights) for",
    Method.FULL: "A full fine-tune of",
}


def write_tuned(
    model: Any,
    folder: Path,
    *,
    base_folder: Path,
    provenance: Provenance,
    config: TrainingConfig,
    result: RunResult,
) -> None:
    """Write the adapter or the whole model with all that belongs to it; `base_folder` has the arrays' tokenizer."""
    if config.use_peft:
        model.save_pretrained(folder, save_embedding_layers=False)
        _name_the_base(folder / "adapter_config.json", provenance)
    else:
        model.save_pretrained(folder)
        _configure_as(base_folder, folder, model)
    for name in _TOKENIZER_FILES:
        if (base_folder / name).is_file():
            shutil.copyfile(base_folder / name, folder / name)
    if (base_folder / _MORE_TEMPLATES).is_dir():
        shutil.copytree(base_folder / _MORE_TEMPLATES, folder / _MORE_TEMPLATES)
    about = {"provenance": provenance.to_json(), "config": config.to_json(), "result": result.to_json()}
    (folder / PROVENANCE).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (folder / CARD).write_text(model_card(provenance, config, result), "utf-8")


def _configure_as(base_folder: Path, folder: Path, model: Any) -> None:
    """The base model's own configuration, without what training set in it: attention in rows, no cache."""
    own = json.loads((base_folder / "config.json").read_text("utf-8"))
    own.pop("torch_dtype", None)
    own["dtype"] = str(model.dtype).removeprefix("torch.")
    (folder / "config.json").write_text(
        json.dumps(own, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )


def _name_the_base(path: Path, provenance: Provenance) -> None:
    """In the written file and not in the model: PEFT would ask the hub about a model that is named by its id."""
    written = json.loads(path.read_text("utf-8"))
    named = {"base_model_name_or_path": provenance.base_model, "revision": provenance.base_revision}
    path.write_text(
        json.dumps({**written, **named}, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )


def model_card(provenance: Provenance, config: TrainingConfig, result: RunResult) -> str:
    """A model card as the hub reads it: facts at the head, then what was trained, on what, and how to use it."""
    return "\n".join(
        [
            *_head(provenance, config),
            f"# {_line(provenance.run)}",
            "",
            f"{_WHAT[config.method]} `{provenance.base_model}`, trained on dialogues with SFT Studio.",
            *([provenance.base_remark] if provenance.base_remark else []),
            "",
            "## Use",
            "",
            *_usage(provenance, config),
            "",
            "## What it was trained on",
            "",
            f"- Dataset: {_line(provenance.dataset)}, version {provenance.version} (sha256 `{provenance.version_hash}`): "
            f"{provenance.conversations} conversations to train on, {provenance.held_out} held out",
            f"- Loss mask: `{provenance.train_on}`, "
            + (f"at most {provenance.max_length} tokens a sample, " if provenance.max_length else "")
            + f"arrays sha256 `{provenance.arrays_hash}`",
            f"- Samples whose labels reached the loss: {result.labels_seen} of {result.labels_total}",
            "",
            "## How",
            "",
            f"- Recipe: {provenance.recipe}; {result.steps} of {result.total_steps} steps, weights of step "
            f"{result.adapter_step}",
            *_adapter(config),
            *_losses(result),
            f"- Every setting: `{PROVENANCE}`",
            "",
        ]
    )


def _head(provenance: Provenance, config: TrainingConfig) -> list[str]:
    quoted = json.dumps(provenance.base_model, ensure_ascii=False)
    licence = [f"license: {provenance.base_licence}"] if provenance.base_licence else []
    return [
        "---",
        f"base_model: {quoted}",
        *licence,
        f"library_name: {'peft' if config.use_peft else 'transformers'}",
        "pipeline_tag: text-generation",
        "tags:",
        *(f"- {tag}" for tag in (*(("lora",) if config.use_peft else ()), "sft", "sft-studio")),
        "---",
        "",
    ]


def _usage(provenance: Provenance, config: TrainingConfig) -> list[str]:
    revision = f", revision={provenance.base_revision!r}" if provenance.base_revision else ""
    arguments = "".join(f", {name}={value!r}" for name, value in provenance.template_arguments.items())
    base = f"base = AutoModelForCausalLM.from_pretrained({provenance.base_model!r}{revision})"
    adapter = [base, "model = PeftModel.from_pretrained(base, folder)"]
    whole = ["model = AutoModelForCausalLM.from_pretrained(folder)"]
    return [
        "```python",
        *(["from peft import PeftModel"] if config.use_peft else []),
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "this-folder"',
        *(adapter if config.use_peft else whole),
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "prompt = tokenizer.apply_chat_template(",
        '    [{"role": "user", "content": "…"}], add_generation_prompt=True, return_tensors="pt", '
        f"return_dict=True{arguments}",
        ")",
        "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=200)[0]))",
        "```",
    ]


def _adapter(config: TrainingConfig) -> list[str]:
    if not config.use_peft:
        return ["- Every weight was trained (full fine-tune)"]
    kind = "DoRA" if config.use_dora else "LoRA"
    scale = ", scale by the root of the rank (rsLoRA)" if config.use_rslora else ""
    return [
        f"- {kind}: rank {config.lora_r}, alpha {config.lora_alpha}, dropout {config.lora_dropout}{scale}"
    ]


def _losses(result: RunResult) -> list[str]:
    found = [("Training loss", result.train_loss), ("Held-out loss", result.eval_loss)]
    return [f"- {name}: {value:.4f}" for name, value in found if value is not None]


def _line(text: str) -> str:
    """People's own words on one line, without the marks that Markdown would read."""
    plain = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|" else letter for letter in plain)
