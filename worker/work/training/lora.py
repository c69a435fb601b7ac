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
from worker.work.training.joined import JoinedLayers, joined


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
        # Inverted dropout multiplies what is kept by 1 / (1 - p): folded into what comes out of A, where it costs nothing.
        scaling = scaling / (1 - dropout)
        a, b = lora_a.to(x.dtype), lora_b.to(x.dtype)
        fate = _Fate.drawn(flat.numel(), dropout, x.device) if dropout > 0 else None
        low_rank = (_kept(flat, fate) @ a.t()).mul_(scaling)
        output = functional.linear(flat, weight, bias)
        output.addmm_(low_rank, b.t())
        kept = to_keep(x)
        ctx.save_for_backward(weight, a, b, low_rank, fate.places if fate else None, *kept.sources)
        ctx.make_input, ctx.seed, ctx.dropout = kept.make, fate.seed if fate else 0, dropout
        ctx.scaling, ctx.shape = scaling, x.shape
        ctx.dtypes = lora_a.dtype, lora_b.dtype
        # No view for autograd, as a product's own result is none: the model may go on in place on it.
        shaped: torch.Tensor = torch.ops.aten._unsafe_view(output, [*x.shape[:-1], output.shape[-1]])
        return shaped

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, a, b, low_rank, places, *sources = ctx.saved_tensors
        fate = _Fate(ctx.seed, ctx.dropout, places) if ctx.dropout > 0 else None
        grad = gradients[0].reshape(-1, gradients[0].shape[-1])
        flat = made_again(ctx.make_input, sources).reshape(-1, weight.shape[1])
        grad_low_rank = (grad @ b).mul_(ctx.scaling)
        grad_b = (grad.t() @ low_rank).to(ctx.dtypes[1])
        grad_a = (grad_low_rank.t() @ _kept(flat, fate)).to(ctx.dtypes[0])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            if fate is None:
                grad_x.addmm_(grad_low_rank, a)
            else:
                fate.add_where_kept(grad_x, grad_low_rank, a)
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


class _Fate:
    """Which elements dropout drops: each by itself with `probability`, decided by `seed`.

    On a CPU the few places are kept. On other devices each element's fate is drawn again where it is wanted: to list places
    the processor would have to wait until the device has got there, once in each layer.
    """

    def __init__(self, seed: int, probability: float, places: torch.Tensor | None) -> None:
        self.seed, self.probability, self.places = seed, probability, places

    @classmethod
    def drawn(cls, count: int, probability: float, device: torch.device) -> "_Fate":
        """Of `count` elements, by the generator that dropout draws from in this thread."""
        seed = int(torch.randint(2**62, (), generator=_generator.get()))
        there = device.type == "cpu"
        return cls(seed, probability, _dropped_places(count, probability, seed) if there else None)

    def mask(self, x: torch.Tensor) -> torch.Tensor:
        """True where `x`, as it lies in memory, is dropped: a bool of its shape on its device."""
        generator = torch.Generator(device=x.device).manual_seed(self.seed)
        fates = torch.empty(x.shape, dtype=torch.bool, device=x.device)
        return fates.bernoulli_(self.probability, generator=generator)

    def add_where_kept(self, target: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
        """target[kept] += (left @ right)[kept]: nothing comes back through the adapter where the element was dropped."""
        if self.places is None:
            target.add_((left @ right).masked_fill_(self.mask(target), 0))
            return
        places = self.places.long()
        before = target.view(-1).index_select(0, places)
        target.addmm_(left, right)
        target.view(-1).index_copy_(0, places, before)


def _kept(x: torch.Tensor, fate: _Fate | None) -> torch.Tensor:
    """x with zeros where it is dropped."""
    if fate is None:
        return x
    if fate.places is None:
        return x.masked_fill(fate.mask(x), 0)
    kept = x.clone(memory_format=torch.contiguous_format)
    kept.view(-1).index_fill_(0, fate.places.long(), 0)
    return kept


def _dropped_places(count: int, probability: float, seed: int) -> torch.Tensor:
    """The places among `count` elements that are dropped, ascending: int32 where that is enough.

    The gaps between dropped elements are drawn (geometric, from exponential numbers rounded down) and not every
    element's fate: at 5 % that is a twentieth of the random numbers, and the few places are kept for the backward
    pass instead of a mask.
    """
    generator = np.random.Generator(np.random.SFC64(seed))
    drawn, last = [], -1
    while last < count:
        left = (count - last) * probability
        gaps = generator.standard_exponential(int(left + 4 * left**0.5) + 16, np.float32)
        gaps *= np.float32(-1 / np.log1p(-probability))
        drawn.append(np.cumsum(gaps.astype(np.int64) + 1) + last)
        last = int(drawn[-1][-1])
    places = np.concatenate(drawn)
    places = places[: int(np.searchsorted(places, count))]
    return torch.from_numpy(places).to(torch.int32 if count < 2**31 else torch.int64)


def fuse_lora_layers(model: torch.nn.Module) -> int:
    """Replace the forward of each plain LoRA linear layer of `model`; returns how many were replaced."""
    fused: dict[torch.nn.Module, _FusedForward] = {}
    for module in model.modules():
        if type(module) is PeftLoraLinear and _is_plain(module):
            fused[module] = _FusedForward(module)
            setattr(module, "forward", fused[module])  # noqa: B010 - mypy forbids plain assignment
    adapters = {module: forward.adapter for module, forward in fused.items() if forward.probability == 0}
    for group in joined(model, adapters):
        for layer in group.layers:
            fused[layer].group = group
    return len(fused)


def unfuse_lora_layers(model: torch.nn.Module) -> int:
    """Give the layers that `fuse_lora_layers` changed PEFT's own forward back; returns how many there were."""
    fused = [one for one in model.modules() if isinstance(vars(one).get("forward"), _FusedForward)]
    for module in fused:
        del vars(module)["forward"]
    return len(fused)


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
        # Those that are given the same input, where there are any.
        self.group: JoinedLayers | None = None

    def __call__(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        layer = self.layer
        if args or kwargs or layer.disable_adapters or layer.merged:
            output: torch.Tensor = type(layer).forward(layer, x, *args, **kwargs)
            return output
        if self.group is not None and (found := self.group.output_of(layer, x)) is not None:
            return found
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
