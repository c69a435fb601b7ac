"""A base model with LoRA adapters on it, loaded once and asked as base or as tuned.

Only safetensors are read, nothing is fetched, and no code that comes with a model is run.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM

from app.jobs.events import Side
from app.masking import ChatTokenizer, MaskingError
from app.sentences import N_, FailureCode
from worker.work.describing import context_length
from worker.work.evaluation.prompts import end_of_turn_ids
from worker.work.protocol import JobFailed
from worker.work.training.devices import training_device, weights_dtype

KEEP_ADAPTERS = 3
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

    def tokenizer_with(self, template_arguments: Mapping[str, Any] | None) -> ChatTokenizer:
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
        """The model as base (adapters off) or as tuned (the adapter chosen last)."""
        if side == "tuned" and not self.adapters:
            raise JobFailed(
                FailureCode.ADAPTER_UNUSABLE, N_("There is no adapter to ask: choose a finished run.")
            )
        if side == "base" and self.adapters:
            with self.model.disable_adapter():
                yield self.model
        else:
            yield self.model

    def use_adapter(self, path: Path) -> None:
        """Load the adapter unless it is there already, and choose it. Keeps the few used last."""
        name = _adapter_name(path)
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
        # Not model.to(): the position buffers of the base stay in fp32.
        for parameter_name, parameter in self.model.named_parameters():
            if "lora_" in parameter_name:
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
        model: Any = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except MaskingError as error:
        raise JobFailed.of(error) from error
    except (OSError, ValueError) as error:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The base model in %(path)s cannot be loaded: %(detail)s"),
            path=str(path),
            detail=_first_line(error),
        ) from error
    model.to(device).eval()
    return LoadedModel(
        model, tokenizer, stop_ids, device, dtype, context_length(model.config) or UNKNOWN_CONTEXT_LENGTH
    )


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


def _adapter_name(path: Path) -> str:
    """Another name as soon as the file is another, so that a replaced adapter is loaded anew."""
    weights = (path / "adapter_model.safetensors").stat()
    return f"{path.resolve()}@{weights.st_mtime_ns}-{weights.st_size}".replace(".", "_")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
