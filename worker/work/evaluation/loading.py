"""A base model with LoRA adapters on it, or beside a whole tuned model, loaded once and asked as base or as tuned.

Only safetensors are read, nothing is fetched, and no code that comes with a model is run.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM

from app.jobs.events import Side
from app.masking import Argument, ChatTokenizer, MaskingError
from app.sentences import N_, FailureCode
from worker.work.describing import context_length
from worker.work.evaluation.prompts import end_of_turn_ids
from worker.work.model_folders import check_model_folder
from worker.work.protocol import JobFailed
from worker.work.training.devices import training_device, weights_dtype

KEEP_ADAPTERS = 3
_ADAPTER, _WHOLE = "adapter_model.safetensors", "config.json"
# Where nothing says how much a model reads, nothing is refused for its length.
UNKNOWN_CONTEXT_LENGTH = 1 << 20


@dataclass
class LoadedModel:
    """The base model (with adapters on it once one was loaded) and what asking it takes."""

    model: Any
    tokenizer: ChatTokenizer
    stop_ids: frozenset[int]
    device: torch.device
    dtype: torch.dtype
    context_length: int
    adapters: list[str] = field(default_factory=list)
    # A full fine-tune is a model of its own; the one used last, by its name.
    whole: tuple[str, Any] | None = None
    # Whether that one was chosen last, and not an adapter.
    whole_chosen: bool = False

    def tokenizer_with(self, template_arguments: Mapping[str, Argument] | None) -> ChatTokenizer:
        """The tokenizer whose chat template gets the arguments that the run was trained with.

        Raises JobFailed for one that the template does not read.
        """
        if not template_arguments:
            return self.tokenizer
        try:
            return self.tokenizer.rendering_with(template_arguments)
        except MaskingError as error:
            raise JobFailed.of(error) from error

    @contextmanager
    def side(self, side: Side) -> Iterator[Any]:
        """The model as base (adapters off) or as tuned (what was chosen last)."""
        if side == "tuned" and self.whole_chosen and self.whole:
            yield self.whole[1]
            return
        if side == "tuned" and not self.adapters:
            raise JobFailed(
                FailureCode.ADAPTER_UNUSABLE, N_("There is no adapter to ask: choose a finished run.")
            )
        if side == "base" and self.adapters:
            with self.model.disable_adapter():
                yield self.model
        else:
            yield self.model

    def use(self, path: Path) -> None:
        """Choose what a run trained: its adapter on the base model, or its whole model."""
        self.whole_chosen = is_whole_model(path)
        if self.whole_chosen:
            self._use_whole(path)
        else:
            self.use_adapter(path)

    def _use_whole(self, path: Path) -> None:
        name = _name_of(path, _WHOLE)
        if self.whole and self.whole[0] == name:
            return
        # The old one goes first: the base model stays beside it, and three may not fit.
        self.whole = None
        gc.collect()
        self.whole = name, _load_weights(path, self.dtype).to(self.device).eval()

    def use_adapter(self, path: Path) -> None:
        """Load the adapter unless it is there already, and choose it. Keeps the few used last."""
        name = _name_of(path, _ADAPTER)
        if name in self.adapters:
            self.adapters.remove(name)
        elif self.adapters:
            self.model.load_adapter(str(path), adapter_name=name, autocast_adapter_dtype=False)
        else:
            self.model = PeftModel.from_pretrained(
                self.model, str(path), adapter_name=name, autocast_adapter_dtype=False
            )
        self.adapters.append(name)
        self.model.set_adapter(name)
        if len(self.adapters) > KEEP_ADAPTERS:
            self.model.delete_adapter(self.adapters.pop(0))
        self.model.eval()
        # The precision in which training applies the adapter; it also spares casts in every layer.
        # Not model.to(): the position buffers of the base stay in fp32. DoRA was trained in fp32 whatever the base is in.
        if self.model.peft_config[name].use_dora:
            return
        for parameter_name, parameter in self.model.named_parameters():
            if "lora_" in parameter_name and f".{name}." in parameter_name:
                parameter.data = parameter.data.to(self.dtype)


def load_base(path: Path) -> LoadedModel:
    """Load a model folder in the precision the device is good at. Raises JobFailed for an unusable one."""
    if not any((path / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")):
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("The base model folder %(path)s holds no safetensors weights. Prepare the base model again."),
            path=str(path),
        )
    device = training_device()
    dtype = weights_dtype(device, None)
    try:
        tokenizer = ChatTokenizer.from_folder(path)
        stop_ids = end_of_turn_ids(tokenizer)
    except MaskingError as error:
        raise JobFailed.of(error) from error
    model = _load_weights(path, dtype)
    model.to(device).eval()
    return LoadedModel(
        model, tokenizer, stop_ids, device, dtype, context_length(model.config) or UNKNOWN_CONTEXT_LENGTH
    )


def _load_weights(path: Path, dtype: torch.dtype) -> Any:
    try:
        return AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The base model in %(path)s cannot be loaded: %(detail)s"),
            path=str(path),
            detail=_first_line(error),
        ) from error


def is_whole_model(path: Path) -> bool:
    """Whether a run's folder holds a model of its own, as a full fine-tune leaves it, and no adapter."""
    return not (path / "adapter_config.json").is_file() and (path / "config.json").is_file()


def require_tuned(path: Path) -> Path:
    """What a run trained, fit to be loaded safely. Raises JobFailed otherwise."""
    if is_whole_model(path):
        check_model_folder(path)
        return path
    return require_adapter(path)


def require_adapter(path: Path) -> Path:
    """An adapter folder that can be loaded safely. Raises JobFailed otherwise."""
    if not (path / "adapter_model.safetensors").is_file() or not (path / "adapter_config.json").is_file():
        raise JobFailed(
            FailureCode.ADAPTER_UNUSABLE,
            N_("The adapter folder %(path)s holds no LoRA adapter in safetensors. Choose a finished run."),
            path=str(path),
        )
    kind = str(PeftConfig.from_pretrained(str(path)).peft_type).rpartition(".")[2]
    if kind != "LORA":
        raise JobFailed(
            FailureCode.ADAPTER_UNUSABLE,
            N_("The adapter in %(path)s is of the kind %(kind)s, not LoRA."),
            path=str(path),
            kind=kind,
        )
    return path


def _name_of(path: Path, file: str) -> str:
    """Another name as soon as the file is another, so that what was replaced is loaded anew."""
    weights = (path / file).stat()
    return f"{path.resolve()}@{weights.st_mtime_ns}-{weights.st_size}".replace(".", "_")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
