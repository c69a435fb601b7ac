"""The LoRA layer as one autograd function: the same mathematics as PEFT's layer in fewer passes over memory.

PEFT still owns the layer: its parameters, names, scaling, saving and loading. Only the forward of plain
linear layers with one adapter is replaced; every other kind (4-bit bases, DoRA …) keeps PEFT's own forward.
"""

from typing import Any

import numpy as np
import torch
from peft.tuners.lora.layer import Linear as PeftLoraLinear
from torch.nn import functional

# Dropout draws 16 bits for each element: the probability is exact to 1/65536.
DROPOUT_RESOLUTION = 65536


class _LoraFunction(torch.autograd.Function):
    """y = x W^T + bias + scaling * drop(x) A^T B^T, with gradients for x, A and B only."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        lora_a: torch.Tensor,
        lora_b: torch.Tensor,
        scaling: float,
        dropout: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        # Inverted dropout multiplies what is kept by 1 / (1 - p): folded into B, where it costs nothing.
        scaling = scaling / (1 - dropout)
        a, b = lora_a.to(x.dtype), lora_b.to(x.dtype) * scaling
        # The mask is not stored but drawn again in the backward pass from this seed: for a small model the
        # masks of all layers would be a tenth of the memory of a step.
        seed = int(torch.randint(2**62, ())) if dropout > 0 else None
        low_rank = _drop(flat, dropout, seed) @ a.t()
        output = functional.linear(flat, weight, bias)
        output.addmm_(low_rank, b.t())
        ctx.save_for_backward(flat, weight, a, b, low_rank)
        ctx.scaling, ctx.dropout, ctx.seed, ctx.shape = scaling, dropout, seed, x.shape
        ctx.dtypes = lora_a.dtype, lora_b.dtype
        return output.view(*x.shape[:-1], output.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, weight, a, b, low_rank = ctx.saved_tensors
        grad = gradients[0].reshape(-1, gradients[0].shape[-1])
        grad_low_rank = grad @ b
        grad_b = (grad.t() @ low_rank).to(ctx.dtypes[1]).mul_(ctx.scaling)
        mask = None if ctx.seed is None else _keep_mask(flat, ctx.dropout, ctx.seed)
        grad_a = (grad_low_rank.t() @ _masked(flat, mask)).to(ctx.dtypes[0])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            if mask is None:
                grad_x.addmm_(grad_low_rank, a)
            else:
                grad_x.add_(_masked(grad_low_rank @ a, mask))
            grad_x = grad_x.view(ctx.shape)
        return grad_x, None, None, grad_a, grad_b, None, None


def _drop(x: torch.Tensor, probability: float, seed: int | None) -> torch.Tensor:
    return x if seed is None else _masked(x, _keep_mask(x, probability, seed))


def _keep_mask(x: torch.Tensor, probability: float, seed: int) -> torch.Tensor:
    """int16 of x's shape: all bits set where the element is kept, none where it is dropped.

    Four 16-bit draws come out of each 64-bit one, and comparing is done by clamping in place: measured on a
    CPU, this is a tenth of the time of torch's own dropout.
    """
    words = _random_words((x.numel() + 3) // 4, x.device, seed)
    draws = words.view(torch.int16)[: x.numel()].view(x.shape)
    threshold = min(round(probability * DROPOUT_RESOLUTION), DROPOUT_RESOLUTION - 1) - DROPOUT_RESOLUTION // 2
    # dropped draws become threshold - 1, kept ones threshold; (threshold - 1) - draw is then 0 or -1.
    return draws.clamp_(threshold - 1, threshold).neg_().add_(threshold - 1)


def _random_words(count: int, device: torch.device, seed: int) -> torch.Tensor:
    """int64[count] of random bits. On the CPU numpy's SFC64 draws twice as fast as torch's generator."""
    if device.type == "cpu":
        generator = np.random.Generator(np.random.SFC64(seed))
        return torch.from_numpy(generator.integers(-(2**63), 2**63 - 1, count, np.int64, endpoint=True))
    words = torch.empty(count, dtype=torch.int64, device=device)
    return words.random_(-(2**63), None, generator=torch.Generator(device=device).manual_seed(seed))


def _masked(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if mask is None:
        return x
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.dtype.itemsize]
    return torch.bitwise_and(x.view(bits), mask.to(bits)).view(x.dtype)


def fuse_lora_layers(model: torch.nn.Module) -> int:
    """Replace the forward of each plain LoRA linear layer of `model`; returns how many were replaced."""
    fused = 0
    for module in model.modules():
        if type(module) is PeftLoraLinear and _is_plain(module):
            setattr(module, "forward", _FusedForward(module))  # noqa: B010 - mypy forbids plain assignment
            fused += 1
    return fused


def _is_plain(layer: Any) -> bool:
    adapters = list(layer.lora_A)
    return (
        len(adapters) == 1
        and not layer.lora_variant
        and not layer.fan_in_fan_out
        and type(layer.base_layer) is torch.nn.Linear
        and not layer.base_layer.weight.requires_grad
        and layer.lora_A[adapters[0]].bias is None
        and layer.lora_B[adapters[0]].bias is None
    )


class _FusedForward:
    """The forward that replaces PEFT's; falls back to PEFT's own while adapters are off or merged."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.adapter = next(iter(layer.lora_A))
        dropout = layer.lora_dropout[self.adapter]
        self.probability = float(dropout.p) if isinstance(dropout, torch.nn.Dropout) else 0.0

    def __call__(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        layer = self.layer
        if args or kwargs or layer.disable_adapters or layer.merged:
            output: torch.Tensor = type(layer).forward(layer, x, *args, **kwargs)
            return output
        fused: torch.Tensor = _LoraFunction.apply(  # type: ignore[no-untyped-call]
            x,
            layer.base_layer.weight,
            layer.base_layer.bias,
            layer.lora_A[self.adapter].weight,
            layer.lora_B[self.adapter].weight,
            layer.scaling[self.adapter],
            self.probability if layer.training else 0.0,
        )
        return fused
