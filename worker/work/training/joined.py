"""LoRA layers of one module that are given the same input, in one autograd function: q, k and v; gate and up.

What they would each do with that input is done once: it is made again once for the way back, their factors A multiply it in one
product, and its gradient is added up inside products instead of between them. PEFT's layers stay; the module calls one after
another, and the first one called computes for all.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from worker.work.training import compiled
from worker.work.training.again import made_again, to_keep

# Names of layers that a module may give one input. Whether it does is seen when it calls them.
_TOGETHER: Final = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class _JoinedFunction(torch.autograd.Function):
    """y_i = x W_i^T + bias_i + scaling * x A_i^T B_i^T for each layer, with gradients for x, the A and the B.

    `parts`: each layer's weight, then each one's bias, A and B, the factors of one rank.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, scaling: float, layers: int, *parts: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        weights, biases, lora_a, lora_b = (
            parts[first : first + layers] for first in range(0, 4 * layers, layers)
        )
        flat = x.reshape(-1, x.shape[-1])
        a, b = torch.cat(lora_a).to(x.dtype), torch.cat(lora_b).to(x.dtype)
        low_rank = (flat @ a.t()).mul_(scaling)
        outputs = []
        ctx.widths = [len(weight) for weight in weights]
        for weight, bias, low, own in zip(
            weights, biases, low_rank.chunk(layers, 1), torch.split(b, ctx.widths), strict=True
        ):
            output = functional.linear(flat, weight, bias)
            output.addmm_(low, own.t())
            # No view for autograd, as in one layer alone.
            outputs.append(torch.ops.aten._unsafe_view(output, [*x.shape[:-1], len(weight)]))
        kept = to_keep(x)
        ctx.save_for_backward(*weights, a, b, low_rank, *kept.sources)
        ctx.make_input, ctx.scaling, ctx.shape, ctx.layers = kept.make, scaling, x.shape, layers
        ctx.dtypes = lora_a[0].dtype, lora_b[0].dtype
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weights, (a, b, low_rank, *sources) = ctx.saved_tensors[: ctx.layers], ctx.saved_tensors[ctx.layers :]
        flat = made_again(ctx.make_input, sources).reshape(-1, a.shape[1])
        grads = [grad.reshape(-1, grad.shape[-1]) for grad in gradients]
        grad_low_rank = torch.empty_like(low_rank)
        grads_b = []
        for grad, own, low, of_low in zip(
            grads,
            torch.split(b, ctx.widths),
            low_rank.chunk(ctx.layers, 1),
            grad_low_rank.chunk(ctx.layers, 1),
            strict=True,
        ):
            torch.mm(grad, own, out=of_low)
            grads_b.append((grad.t() @ low).to(ctx.dtypes[1]))
        grads_a = (grad_low_rank.mul_(ctx.scaling).t() @ flat).to(ctx.dtypes[0]).chunk(ctx.layers)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grads[0] @ weights[0]
            for grad, weight in zip(grads[1:], weights[1:], strict=True):
                grad_x.addmm_(grad, weight)
            grad_x = grad_x.addmm_(grad_low_rank, a).view(ctx.shape)
        return grad_x, None, None, *(None,) * (2 * ctx.layers), *grads_a, *grads_b


@dataclass
class _Waiting:
    """What was computed of `x`, as it was at this version of its memory, for layers that were not called yet: by their places."""

    x: torch.Tensor
    version: int
    outputs: dict[int, torch.Tensor]


class JoinedLayers:
    """PEFT's layers of one adapter that a module has under the names of a group, each frozen but for its A and B, of one rank."""

    def __init__(self, layers: list[Any], adapter: str) -> None:
        self.layers, self.adapter = layers, adapter
        # Until it is seen that the module gives them different inputs, or leaves one out.
        self.together = True
        # Lanes call the same layers at the same time.
        self._thread = threading.local()

    def output_of(self, layer: Any, x: torch.Tensor) -> torch.Tensor | None:
        """The layer's output for x, computed with that of the others; None where it has to do it alone."""
        place = self.layers.index(layer)
        if place == 0:
            return self._begin(x)
        waiting: _Waiting | None = getattr(self._thread, "waiting", None)
        if waiting is None or waiting.x is not x or waiting.version != x._version:
            return None
        output = waiting.outputs.pop(place, None)
        if not waiting.outputs:
            self._thread.waiting = None
        return output

    def _begin(self, x: torch.Tensor) -> torch.Tensor | None:
        if getattr(self._thread, "waiting", None) is not None:
            self.together, self._thread.waiting = False, None
        if not self.together or not compiled.serves(x):
            return None
        first, *others = _JoinedFunction.apply(  # type: ignore[no-untyped-call]
            x,
            self.layers[0].scaling[self.adapter],
            len(self.layers),
            *(layer.base_layer.weight for layer in self.layers),
            *(layer.base_layer.bias for layer in self.layers),
            *(layer.lora_A[self.adapter].weight for layer in self.layers),
            *(layer.lora_B[self.adapter].weight for layer in self.layers),
        )
        self._thread.waiting = _Waiting(x, x._version, dict(enumerate(others, start=1)))
        output: torch.Tensor = first
        return output


def joined(model: torch.nn.Module, adapters: Mapping[torch.nn.Module, str]) -> Iterator[JoinedLayers]:
    """The groups of `model` among plain LoRA layers without dropout, each given with its adapter's name."""
    for module in model.modules():
        for names in _TOGETHER:
            layers: list[Any] = [getattr(module, name, None) for name in names]
            if all(layer in adapters for layer in layers) and _fit(layers, [adapters[one] for one in layers]):
                yield JoinedLayers(layers, adapters[layers[0]])


def _fit(layers: list[Any], adapters: list[str]) -> bool:
    """Whether they have inputs of one width, and adapters of one name, rank and scale."""
    alike = {
        (adapter, layer.lora_A[adapter].weight.shape, layer.scaling[adapter])
        for layer, adapter in zip(layers, adapters, strict=True)
    }
    return len(alike) == 1 and len(set(layers)) == len(layers)
