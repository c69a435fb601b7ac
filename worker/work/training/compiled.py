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
    out = torch.empty_like(x)
    _Switch.loops.rotate(_numbers(x), _numbers(cos.contiguous()), _numbers(sin.contiguous()), _numbers(out))
    return out


def rotated_back(gradient: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The gradient of `rotated` for x, in the same shapes: the rotation back, by sin with its halves exchanged and negated."""
    first, second = sin.chunk(2, -1)
    return rotated(gradient, cos, torch.cat((second, first), -1).neg_())


def shares_in_place(scores: torch.Tensor, gradients: torch.Tensor, rows: int, before: int) -> None:
    """exp(score) over the scores, and its product with the gradients over these, both 0 where a row would look ahead.

    Both: contiguous [groups, heads * rows, seen]; each of the `rows` sees those `before` the first, those after it, and itself.
    """
    _Switch.loops.shares(_numbers(scores), _numbers(gradients), rows, before)


def softmax_parts_in_place(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """exp(logit - highest of its row) over the logits[rows, vocabulary], contiguous.

    Returns, both fp32[rows], each row's sum of that and the target's logit less the highest.
    """
    sums, of_wanted = (torch.empty(len(logits), dtype=torch.float32) for _ in range(2))
    _Switch.loops.softmax_parts(_rows(logits), targets.contiguous().numpy(), sums.numpy(), of_wanted.numpy())
    return sums, of_wanted


def _fits(tensor: torch.Tensor) -> bool:
    return tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu"


def _numbers(x: torch.Tensor) -> Any:
    """The memory of a contiguous tensor as numpy has it, bf16 as uint16."""
    x = x.detach()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def _rows(x: torch.Tensor) -> Any:
    return _numbers(x.view(-1, x.shape[-1]))


def _line(x: torch.Tensor) -> Any:
    return _numbers(x.view(-1))
