"""The product of a gated feed-forward layer, act(gate) * up, as one autograd function that keeps its two inputs only.

Written as two operations it keeps the activation too, and the product is kept once more as the input of the layer after
it: together half of what a layer leaves for the way back. Which modules it may stand in for is measured on them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from worker.work.training import compiled
from worker.work.training.again import mark

_GATE, _UP, _DOWN, _ACTIVATION = "gate_proj", "up_proj", "down_proj", "act_fn"


@dataclass(frozen=True)
class Activation:
    """An activation and its derivative: `back(gradient of the result, input)`."""

    forward: Callable[[torch.Tensor], torch.Tensor]
    back: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


SILU = Activation(functional.silu, torch.ops.aten.silu_backward)
GELU = Activation(functional.gelu, torch.ops.aten.gelu_backward)
GELU_TANH = Activation(
    partial(functional.gelu, approximate="tanh"), partial(torch.ops.aten.gelu_backward, approximate="tanh")
)


class _GatedProduct(torch.autograd.Function):
    """act(gate) * up, in the precision of both."""

    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor, activation: Activation) -> torch.Tensor:
        ctx.save_for_backward(gate, up)
        ctx.activation = activation
        return product(activation, gate, up)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate, up = ctx.saved_tensors
        activation: Activation = ctx.activation
        if activation is SILU and compiled.serves(gate, up):
            return *compiled.silu_product_back(gradients[0], gate, up), None
        grad_up = activation.forward(gate).mul_(gradients[0])
        return activation.back(gradients[0] * up, gate), grad_up, None


def product(activation: Activation, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """act(gate) * up without a tensor more than the result."""
    if activation is SILU and compiled.serves(gate, up):
        return compiled.silu_product(gate, up)
    return activation.forward(gate).mul_(up)


def fuse_gated_products(model: torch.nn.Module) -> int:
    """Replace the forward of each gated feed-forward module that proves to be one; returns how many were."""
    fused = 0
    for module in model.modules():
        activation = _activation_of(module)
        if activation is not None:
            setattr(module, "forward", _FusedForward(module, activation))  # noqa: B010 - mypy forbids plain assignment
            fused += 1
    return fused


def _activation_of(module: Any) -> Activation | None:
    """With which the module does to a random input, to the last bit, what the fused one does."""
    parts = [getattr(module, name, None) for name in (_GATE, _UP, _DOWN, _ACTIVATION)]
    weight = getattr(parts[0], "weight", None)
    if not all(callable(part) for part in parts) or not isinstance(weight, torch.Tensor) or weight.ndim != 2:
        return None
    if not weight.is_floating_point():
        return None
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, weight.shape[1], generator=generator).to(weight.device, weight.dtype)
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            own = module(x)
            for activation in (SILU, GELU_TANH, GELU):
                found = _FusedForward(module, activation)(x)
                if isinstance(own, torch.Tensor) and torch.equal(own, found):
                    return activation
    except Exception:  # noqa: BLE001 - one that wants more than its input is another module
        return None
    finally:
        module.train(training)
    return None


class _FusedForward:
    """The forward that replaces the module's own, for as long as it gets one input and nothing else."""

    def __init__(self, module: Any, activation: Activation) -> None:
        self.module, self.activation = module, activation

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        module = self.module
        if len(args) != 1 or kwargs:
            own: torch.Tensor = type(module).forward(module, *args, **kwargs)
            return own
        gate, up = module.gate_proj(args[0]), module.up_proj(args[0])
        gated: torch.Tensor = _GatedProduct.apply(gate, up, self.activation)  # type: ignore[no-untyped-call]
        lowered: torch.Tensor = module.down_proj(mark(gated, partial(product, self.activation), gate, up))
        return lowered
