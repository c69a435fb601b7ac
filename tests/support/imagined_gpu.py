"""A GPU without a GPU: tensors that know their shape, their kind of number and that they lie on `cuda`, and hold no numbers.

What mixes devices fails on them as it would there. Where a program would wait for the device, because it asks for a number, an answer
is made up and the place noted. The way back cannot be gone: torch wants a driver for that.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda", 0)
_HERE = Path(__file__).parents[2] / "worker"
_ATEN = torch.ops.aten


class ImaginedGpu(TorchDispatchMode):
    """Answers in the place of numbers; `waits` are the places of the worker's code that asked for one, from the inside."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        first = args[0] if args else None
        if func is torch.ops.prim.device.default:
            return first.fake_device if isinstance(first, FakeTensor) else first.device  # type: ignore[union-attr]
        if func is _ATEN._local_scalar_dense.default:
            self._note(first)
            return True if first.dtype == torch.bool else 0.5 if first.is_floating_point() else 1  # type: ignore[union-attr]
        if func is _ATEN.nonzero.default:
            self._note(first)
            return first.new_empty((first.numel(), first.dim()), dtype=torch.int64)  # type: ignore[union-attr]
        if func is _ATEN.index.Tensor and any(one is not None and one.dtype == torch.bool for one in args[1]):
            self._note(first)
            args = (first, [_places(one) for one in args[1]])
        return func(*args, **(kwargs or {}))

    def _note(self, tensor: Any) -> None:
        if tensor.device.type == "cuda":
            frames = [one for one in traceback.extract_stack() if Path(one.filename).is_relative_to(_HERE)]
            self.waits.append(f"{Path(frames[-1].filename).name}: {frames[-1].name}")


def _places(chosen: torch.Tensor | None) -> torch.Tensor | None:
    """All of them, where a mask picks some."""
    if chosen is None or chosen.dtype != torch.bool:
        return chosen
    return torch.arange(chosen.numel(), device=chosen.device)


@contextmanager
def imagined_gpu(model: torch.nn.Module) -> Iterator[ImaginedGpu]:
    """The model lies there for good, and what is computed in the block is imagined."""
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as fake, ImaginedGpu() as gpu:
        for module in model.modules():
            for own in (module._parameters, module._buffers):
                for name, tensor in own.items():
                    if tensor is not None:
                        own[name] = _there(fake, tensor)  # type: ignore[assignment]
        yield gpu


def _there(fake: FakeTensorMode, tensor: torch.Tensor) -> torch.Tensor:
    moved = fake.from_tensor(tensor.detach()).to(GPU)
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    return torch.nn.Parameter(moved, tensor.requires_grad) if is_parameter else moved
