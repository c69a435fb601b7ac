"""What a run trains: an adapter beside the frozen model, or every weight of the model itself.

The one place that knows the difference once training has begun: what is kept, written down, and put back.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from worker.work.training.modules import other_towers

ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
MODEL_WEIGHTS: Final = "trained_weights.safetensors"

State = dict[str, torch.Tensor]


class TrainedWeights(Protocol):
    """The trained part of a model."""

    # Its file in a checkpoint.
    file: str

    def state(self) -> State:
        """The tensors themselves, by name; each once, however many layers share it."""
        ...

    def load(self, state: State) -> None:
        """Put back what `state` gave."""
        ...

    def write(self, folder: Path) -> None:
        """Write `file` and what belongs to it."""
        ...


class AdapterWeights:
    """A LoRA adapter, in PEFT's own files."""

    file = ADAPTER_WEIGHTS

    def __init__(self, model: Any) -> None:
        self.model = model

    def state(self) -> State:
        found: State = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        return found

    def load(self, state: State) -> None:
        set_peft_model_state_dict(self.model, state)

    def write(self, folder: Path) -> None:
        self.model.save_pretrained(folder, save_embedding_layers=False)


class AllWeights:
    """Every weight that is trained in a full fine-tune."""

    file = MODEL_WEIGHTS

    def __init__(self, model: Any) -> None:
        self.model = model

    def state(self) -> State:
        return {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}

    def load(self, state: State) -> None:
        own = self.state()
        if own.keys() != state.keys():
            raise ValueError("other weights than this model trains")
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def write(self, folder: Path) -> None:
        save_state(self.state(), folder / self.file)


def weights_of(model: Any) -> TrainedWeights:
    """Those that `model` is trained in."""
    return AdapterWeights(model) if isinstance(model, PeftModel) else AllWeights(model)


def save_state(state: State, path: Path) -> None:
    """Whole or not at all; a file that was there, and links to it, keep what they held."""
    fresh = path.with_name(f".partial-{path.name}")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, fresh)
    fresh.replace(path)


def load_state(path: Path) -> State:
    """What `save_state` wrote."""
    return load_file(path)


def causal_model(model: Any) -> Any:
    """transformers' model itself, within an adapter or alone."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def train_every_weight(model: Any) -> Any:
    """Let the whole language model be trained; towers that see or hear stay as they are, for no text passes them."""
    outside = other_towers(model)
    for name, parameter in model.named_parameters():
        inside = not any(name.startswith(f"{prefix}.") for prefix in outside)
        parameter.requires_grad_(inside and parameter.is_floating_point())
    return model


def computing_in(dtype: torch.dtype, model: Any, device: torch.device) -> AbstractContextManager[Any]:
    """Products in `dtype` where the weights are kept in a finer one, as those of a full fine-tune are.

    A step of a fine-tune is far below what a bf16 weight can tell, so weights and optimizer stay in fp32.
    """
    if dtype == torch.float32 or isinstance(model, PeftModel):
        return nullcontext()
    return torch.autocast(device.type, dtype)
