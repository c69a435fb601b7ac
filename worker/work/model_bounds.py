"""Holds a model's configuration against its files before anything is built of it.

A configuration is a stranger's: one number in it asks for a million layers, and building them takes the machine's
memory and minutes. What a model may have is bounded by what its weight files hold.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from transformers import AutoModelForCausalLM

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

# A file may hold in one tensor what the model has in several, and the other way round.
_TENSORS_FOR_ONE: Final = 8
_SPARE_TENSORS: Final = 2_000
# Embedding and output layer are two until they are tied.
_SIZE_FOR_ONE: Final = 3
# Masks and positions that models compute for themselves.
_SPARE_ELEMENTS: Final = 1 << 30
_COUNTS: Final = re.compile(r"layer|expert", re.IGNORECASE)


class _TooMuch(Exception):
    """More modules or numbers than the files can be of."""


def require_bounded(folder: Path) -> None:
    """Raises JobFailed where config.json names more layers or experts than the weight files have tensors.

    It is for before a library reads the configuration: libraries make lists of such a length at once.
    """
    tensors, _elements = _held(folder)
    most = tensors * _TENSORS_FOR_ONE + _SPARE_TENSORS
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return  # whoever reads it next says what is wrong with it
    for name, value in _numbers(config):
        if _COUNTS.search(name) and value > most:
            raise JobFailed(
                FailureCode.MODEL_UNUSABLE,
                N_(
                    "config.json says %(name)s is %(value)s, and the weights are %(tensors)d tensors: they do not fit."
                ),
                name=name,
                value=str(value)[:40],
                tensors=tensors,
            )


def build_bounded(config: Any, folder: Path, reference: str) -> Any:
    """The model without its weights, on the meta device. Raises JobFailed where it is larger than its files.

    Raises ValueError for a configuration that no text model is built of.
    """
    tensors, elements = _held(folder)
    try:
        with (
            _counted(tensors * _TENSORS_FOR_ONE + _SPARE_TENSORS, elements * _SIZE_FOR_ONE + _SPARE_ELEMENTS),
            torch.device("meta"),
        ):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    except _TooMuch as error:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_(
                "%(reference)s: config.json describes a far larger model than the weight files hold (%(millions)d million numbers)."
            ),
            reference=reference,
            millions=elements // 1_000_000,
        ) from error


def _held(folder: Path) -> tuple[int, int]:
    """Tensors in the weight files, and numbers in them."""
    tensors = elements = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as stream:
            for name in stream.keys():  # noqa: SIM118 (no mapping)
                tensors += 1
                size = 1
                for length in stream.get_slice(name).get_shape():
                    size *= length
                elements += size
    return tensors, elements


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, name)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, value


@contextmanager
def _counted(most_tensors: int, most_elements: int) -> Iterator[None]:
    tensors = elements = 0

    def count(_module: Any, _name: str, tensor: Any) -> None:
        nonlocal tensors, elements
        tensors += 1
        elements += tensor.numel() if isinstance(tensor, torch.Tensor) else 0
        if tensors > most_tensors or elements > most_elements:
            raise _TooMuch

    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
