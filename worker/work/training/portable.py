"""A folder that is whole without this program: PEFT's or transformers' files, the tokenizer, a card that says what it is.

Nothing in it names a folder of the server. Whoever has the base model's id loads it with PEFT and transformers alone;
of a full fine-tune nothing else is needed.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

from app.exports.card import CARD, PROVENANCE, model_card, provenance_document, tuned_style
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from app.runs.result import RunResult

TOKENIZER_FILES: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
)
_MORE_TEMPLATES: Final = "additional_chat_templates"


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
    copy_tokenizer(base_folder, folder)
    (folder / PROVENANCE).write_text(provenance_document(provenance, config, result), "utf-8")
    style = tuned_style(provenance, config)
    (folder / CARD).write_text(model_card(provenance, config, result, style), "utf-8")


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Tokenizer, chat templates and what generation stops on, as they lie in the source."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    if (source / _MORE_TEMPLATES).is_dir():
        shutil.copytree(source / _MORE_TEMPLATES, folder / _MORE_TEMPLATES)


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
