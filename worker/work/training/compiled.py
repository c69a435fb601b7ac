"""Norms, gated products, attention's way back and the loss in one pass over memory each, for models in bf16 on a CPU.

Where products run on units for bf16, half of a step is spent on moving numbers in between. The loops are compiled when a run switches
them on; a model too small to win back that time does without. They round where torch does: from its operations they differ in the
order of sums, and so in the last bit of a few numbers in a million.
"""

import importlib
from typing import Any, Final

import numpy as np
import torch

from app.recipes.memory import WORTH_COMPILING

_LOOPS: Final = "worker.work.training.loops"
_NUMPY_TYPES: Final = {torch.bfloat16: "<u2", torch.float32: "<f4", torch.int64: "<i8"}


class _Switch:
    """transformers and autograd call what uses the loops, and hand nothing along: they are on for the whole process."""

    loops: Any = None


def switch_on() -> None:
    """Compile the loops, for whatever this process trains from here on."""
    _Switch.loops = importlib.import_module(_LOOPS)


def switch_on_for(model: Any) -> bool:
    """Switch them on where the model computes in bf16 on a CPU and is large enough; returns whether it is."""
    parameters = list(model.parameters())
    size = sum(parameter.numel() for parameter in parameters)
    if size < WORTH_COMPILING or not any(_fits(parameter) for parameter in parameters):
        return False
    switch_on()
    return True


def serves(*tensors: torch.Tensor) -> bool:
    """Whether the loops are on, and these are theirs to compute."""
    return _Switch.loops is not None and all(_fits(tensor) for tensor in tensors)


def norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """RMS normalisation of x[..., width] and its scale, fp32[..., 1]."""
    x = x.contiguous()
    out, scale = torch.empty_like(x), torch.empty(*x.shape[:-1], 1, dtype=torch.float32)
    _Switch.loops.norm(_rows(x), _line(weight), np.float32(epsilon), _rows(out), _line(scale))
    return out, scale


def norm_again(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """What `norm` gave for x, to the last bit."""
    x = x.contiguous()
    out = torch.empty_like(x)
    _Switch.loops.norm_again(_rows(x), _line(weight), _line(scale), _rows(out))
    return out


def norm_back(
    gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """The gradient for x."""
    gradient, x = gradient.contiguous(), x.contiguous()
    out = torch.empty_like(x)
    _Switch.loops.norm_back(_rows(gradient), _rows(x), _line(weight), _line(scale), _rows(out))
    return out


def silu_product(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up, of one shape."""
    gate, up = gate.contiguous(), up.contiguous()
    out = torch.empty_like(gate)
    _Switch.loops.silu_product(_line(gate), _line(up), _line(out))
    return out


def silu_product_back(
    gradient: torch.Tensor, gate: torch.Tensor, up: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients for gate and up."""
    gradient, gate, up = gradient.contiguous(), gate.contiguous(), up.contiguous()
    of_gate, of_up = torch.empty_like(gate), torch.empty_like(up)
    _Switch.loops.silu_product_back(_line(gradient), _line(gate), _line(up), _line(of_gate), _line(of_up))
    return of_gate, of_up


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x * cos + rotate_half(x) * sin. x: [tokens, heads, dim]; cos, sin: [tokens, dim]."""
    x = x.contiguous()
    out, given = torch.empty_like(x), (cos.contiguous(), sin.contiguous())
    _Switch.loops.rotate(_numbers(x), *map(_numbers, given), _numbers(out))
    return out


def rotated_back(gradient: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The gradient of `rotated` for x, in the same shapes."""
    gradient = gradient.contiguous()
    out, given = torch.empty_like(gradient), (cos.contiguous(), sin.contiguous())
    _Switch.loops.rotate_back(_numbers(gradient), *map(_numbers, given), _numbers(out))
    return out


def shares_in_place(
    scores: torch.Tensor, gradients: torch.Tensor, rows: int, before: int, scaling: float
) -> None:
    """exp(score) over the scores, and its product with the gradients and `scaling` over these, both 0 where a row would look ahead.

    Both: contiguous [groups, seen, heads * rows]; each of the `rows` sees those `before` the first, those after it, and itself.
    """
    _Switch.loops.shares(_numbers(scores), _numbers(gradients), rows, before, np.float32(scaling))


def with_sums(
    query: torch.Tensor,
    gradient: torch.Tensor,
    output: torch.Tensor,
    log_sums: torch.Tensor,
    scaling: float,
    beside: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of [rows, heads, dim], log_sums fp32[heads, rows]: queries beside -log_sum / scaling, gradients beside minus the sum of their
    products with the output, each number in two columns; both [heads, rows + beside, dim + 2]."""
    rows, heads, dim = query.shape
    made = query.new_empty(2, heads, rows + beside, dim + 2)
    given = (_numbers(x.contiguous()) for x in (query, gradient, output, log_sums))
    _Switch.loops.with_sums(*given, np.float32(scaling), *_numbers(made))
    return made[0], made[1]


def with_ones(x: torch.Tensor, columns: int, beside: int) -> torch.Tensor:
    """x[tokens, heads, dim] as [heads, tokens + beside, dim + columns], ones in the columns."""
    made = x.new_empty(x.shape[1], x.shape[0] + beside, x.shape[2] + columns)
    _Switch.loops.for_each_head(_numbers(x.contiguous()), _numbers(made))
    return made


def for_each_head(x: torch.Tensor, heads: int, beside: int) -> torch.Tensor:
    """x[tokens, kv_heads, dim] as [heads, tokens + beside, dim]: each head for as many neighbours."""
    made = x.new_empty(heads, x.shape[0] + beside, x.shape[2])
    _Switch.loops.for_each_head(_numbers(x.contiguous()), _numbers(made))
    return made


def softmax_parts_in_place(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """exp(logit - highest of its row) over the logits[rows, vocabulary], contiguous.

    Returns, both fp32[rows], each row's sum of that and the target's logit less the highest.
    """
    sums, of_wanted = (torch.empty(len(logits), dtype=torch.float32) for _ in range(2))
    _Switch.loops.softmax_parts(_rows(logits), _line(targets.contiguous()), _line(sums), _line(of_wanted))
    return sums, of_wanted


def _fits(tensor: torch.Tensor) -> bool:
    return tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu"


class _Memory:
    """A contiguous tensor's memory in the words in which numpy asks for it. torch's own way there is three operations, and each lets
    the interpreter go: another lane takes it, and this one waits.
    """

    __slots__ = ("shape", "tensor")

    def __init__(self, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
        if not tensor.is_contiguous():
            raise ValueError("the loops go through contiguous memory")
        # Kept for as long as numpy has the array.
        self.tensor, self.shape = tensor, shape

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {
            "data": (self.tensor.data_ptr(), False),
            "shape": self.shape,
            "typestr": _NUMPY_TYPES[self.tensor.dtype],
            "version": 3,
        }


def _numbers(x: torch.Tensor) -> Any:
    """The memory of a contiguous tensor as numpy has it, bf16 as uint16."""
    return np.asarray(_Memory(x, tuple(x.shape)))


def _rows(x: torch.Tensor) -> Any:
    width = x.shape[-1]
    return np.asarray(_Memory(x, (x.numel() // max(1, width), width)))


def _line(x: torch.Tensor) -> Any:
    return np.asarray(_Memory(x, (x.numel(),)))
