"""The LoRA layer as one autograd function: the same mathematics as PEFT's layer in fewer passes over memory.

PEFT still owns the layer: its parameters, names, scaling, saving and loading. Only the forward of plain
linear layers with one adapter is replaced; every other kind (4-bit bases, DoRA …) keeps PEFT's own forward.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from peft.tuners.lora.layer import Linear as PeftLoraLinear
from torch.nn import functional

from worker.work.training.again import made_again, to_keep


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
        dropped = _dropped_places(flat.numel(), dropout, x.device) if dropout > 0 else None
        low_rank = _without(flat, dropped) @ a.t()
        output = functional.linear(flat, weight, bias)
        output.addmm_(low_rank, b.t())
        kept = to_keep(x)
        ctx.save_for_backward(weight, a, b, low_rank, dropped, *kept.sources)
        ctx.make_input = kept.make
        ctx.scaling, ctx.shape = scaling, x.shape
        ctx.dtypes = lora_a.dtype, lora_b.dtype
        # No view for autograd, as a product's own result is none: the model may go on in place on it.
        shaped: torch.Tensor = torch.ops.aten._unsafe_view(output, [*x.shape[:-1], output.shape[-1]])
        return shaped

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, a, b, low_rank, dropped, *sources = ctx.saved_tensors
        grad = gradients[0].reshape(-1, gradients[0].shape[-1])
        flat = made_again(ctx.make_input, sources).reshape(-1, weight.shape[1])
        grad_low_rank = grad @ b
        grad_b = (grad.t() @ low_rank).to(ctx.dtypes[1]).mul_(ctx.scaling)
        grad_a = (grad_low_rank.t() @ _without(flat, dropped)).to(ctx.dtypes[0])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            # Nothing comes back through the adapter where the element was dropped: what was there is put back.
            places = None if dropped is None else dropped.long()
            before = None if places is None else grad_x.view(-1).index_select(0, places)
            grad_x.addmm_(grad_low_rank, a)
            if places is not None:
                grad_x.view(-1).index_copy_(0, places, before)
            grad_x = grad_x.view(ctx.shape)
        return grad_x, None, None, grad_a, grad_b, None, None


_generator: ContextVar[torch.Generator | None] = ContextVar("dropout_generator", default=None)


@contextmanager
def dropout_drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Within the block, in this thread, dropout draws from `generator` and not from the process's own."""
    token = _generator.set(generator)
    try:
        yield
    finally:
        _generator.reset(token)


def _dropped_places(count: int, probability: float, device: torch.device) -> torch.Tensor:
    """The places among `count` elements that dropout drops, ascending: int32 where that is enough.

    Each element is dropped by itself with `probability`. On a CPU the gaps between dropped elements are drawn
    (geometric, from exponential numbers rounded down) and not every element's fate: at 5 % that is a twentieth
    of the random numbers, and the few places are kept for the backward pass instead of a mask.
    """
    seed = int(torch.randint(2**62, (), generator=_generator.get()))
    if device.type != "cpu":
        generator = torch.Generator(device=device).manual_seed(seed)
        places = (torch.rand(count, device=device, generator=generator) < probability).nonzero()[:, 0]
        return places.to(_place_type(count))
    generator_here = np.random.Generator(np.random.SFC64(seed))
    drawn, last = [], -1
    while last < count:
        left = (count - last) * probability
        gaps = generator_here.standard_exponential(int(left + 4 * left**0.5) + 16, np.float32)
        gaps *= np.float32(-1 / np.log1p(-probability))
        drawn.append(np.cumsum(gaps.astype(np.int64) + 1) + last)
        last = int(drawn[-1][-1])
    places_here = np.concatenate(drawn)
    places_here = places_here[: int(np.searchsorted(places_here, count))]
    return torch.from_numpy(places_here).to(_place_type(count))


def _place_type(count: int) -> torch.dtype:
    return torch.int32 if count < 2**31 else torch.int64


def _without(x: torch.Tensor, dropped: torch.Tensor | None) -> torch.Tensor:
    """x with zeros at the dropped places of its flat view."""
    if dropped is None:
        return x
    kept = x.clone(memory_format=torch.contiguous_format)
    kept.view(-1).index_fill_(0, dropped.long(), 0)
    return kept


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
        self.dropout = layer.lora_dropout[self.adapter]
        self.probability = float(self.dropout.p) if isinstance(self.dropout, torch.nn.Dropout) else 0.0

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


def fused_dropouts(model: torch.nn.Module) -> set[torch.nn.Module]:
    """The dropout modules whose work the fused layers do."""
    forwards = (getattr(module, "forward", None) for module in model.modules())
    return {forward.dropout for forward in forwards if isinstance(forward, _FusedForward)}
