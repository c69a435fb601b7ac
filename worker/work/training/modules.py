"""The linear layers of a model: which there are, and which of them an adapter may go on.

It looks at the model itself, which may be on the meta device without weights.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import _check_lora_target_modules_mamba
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from app.base_models.facts import LeftOut


class LayerKind(StrEnum):
    """LINEAR and CONV1D (transformers' own, weights transposed) are modules; EXPERTS are stacked in one parameter."""

    LINEAR = "linear"
    CONV1D = "conv1d"
    EXPERTS = "experts"


@dataclass(frozen=True)
class LinearModule:
    """`name` is dotted, as PEFT matches it; sizes are of one expert where there are several."""

    name: str
    kind: LayerKind
    in_features: int
    out_features: int
    count: int = 1
    left_out: LeftOut | None = None


def linear_modules(model: Any) -> list[LinearModule]:
    """Every linear layer of a causal language model and every stack of experts, in the model's order."""
    output = model.get_output_embeddings()
    outside = other_towers(model)
    found = []
    for name, module in model.named_modules():
        left_out = None
        if module is output:
            left_out = LeftOut.OUTPUT
        elif any(name == prefix or name.startswith(f"{prefix}.") for prefix in outside):
            left_out = LeftOut.OTHER_TOWER
        if left_out is None and _is_refused_by_peft(model, name.rpartition(".")[2]):
            left_out = LeftOut.NOT_PLAIN
        if isinstance(module, torch.nn.Linear):
            sizes = module.in_features, module.out_features
            if left_out is None and not _is_plain(module):
                left_out = LeftOut.NOT_PLAIN
            found.append(LinearModule(name, LayerKind.LINEAR, *sizes, left_out=left_out))
        elif isinstance(module, Conv1D):
            found.append(LinearModule(name, LayerKind.CONV1D, module.nx, module.nf, left_out=left_out))
        elif type(module).__name__.endswith("Experts"):
            found += _stacks(name, module, left_out)
    return found


def reachable(model: Any) -> list[str]:
    """The dotted names that an adapter may go on."""
    return [module.name for module in linear_modules(model) if module.left_out is None]


def _is_refused_by_peft(model: Any, name: str) -> bool:
    """PEFT knows by name the layers of Mamba whose weights are read past their forward: no adapter would work there."""
    try:
        _check_lora_target_modules_mamba(LoraConfig(), model, name)
    except ValueError:
        return True
    return False


def _is_plain(layer: torch.nn.Linear) -> bool:
    """Whether a layer makes one row of each row; routers and grouped projections are linear layers by descent only."""
    if type(layer).forward is torch.nn.Linear.forward or type(layer).__module__.startswith("bitsandbytes"):
        return True
    rows = layer.weight.new_zeros(2, layer.in_features)
    try:
        with torch.no_grad():
            found = layer(rows)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False
    return isinstance(found, torch.Tensor) and found.shape == (2, layer.out_features)


def _stacks(name: str, module: Any, left_out: LeftOut | None) -> list[LinearModule]:
    """Weights of all experts in one parameter: [experts, out, in], or [experts, in, out] if the module says so."""
    found = []
    for own_name, parameter in module.named_parameters(recurse=False):
        if parameter.ndim != 3:
            continue
        count, rows, columns = parameter.shape
        sizes = (rows, columns) if getattr(module, "is_transposed", False) else (columns, rows)
        found.append(LinearModule(f"{name}.{own_name}", LayerKind.EXPERTS, *sizes, count, left_out))
    return found


def other_towers(model: Any) -> set[str]:
    """The parts of a model that see and hear: dotted names of modules whose input is no text."""
    decoder = model.get_decoder()
    names = {id(module): name for name, module in model.named_modules()}
    inner = names.get(id(decoder), "")
    if decoder is model.get_output_embeddings() or not isinstance(decoder, torch.nn.Module):
        inner = ""
    found = set()
    if inner and model.config.get_text_config() is not model.config:
        # Everything beside the path down to the language model.
        path = inner.split(".")
        for depth in range(len(path)):
            parent = model.get_submodule(".".join(path[:depth]))
            beside = [name for name, _ in parent.named_children() if name != path[depth]]
            found |= {".".join([*path[:depth], name]) for name in beside}
    language_model = model.get_submodule(inner)
    # It turns into words what the language model made, wherever it hangs.
    found.discard(names.get(id(model.get_output_embeddings()), ""))
    for name, child in language_model.named_children():
        if _is_of_another_kind(child, language_model.config if inner else model.config):
            found.add(f"{inner}.{name}" if inner else name)
    return found


def _is_of_another_kind(part: torch.nn.Module, config: Any) -> bool:
    """Whether a part of the language model holds a model with another configuration, as towers do."""
    return any(
        isinstance(module, PreTrainedModel) and type(module.config) is not type(config)
        for module in part.modules()
    )
