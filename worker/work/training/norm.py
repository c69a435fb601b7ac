"""RMS normalisation as one autograd function: what transformers' modules compute, with less kept for the way back.

transformers' modules keep three copies of their input, two of them in fp32. This keeps the input and one number
a row. Which modules it may stand in for is measured on them, not looked up by name.
"""

from typing import Any

import torch

from worker.work.training import compiled
from worker.work.training.again import mark


class _RmsNormFunction(torch.autograd.Function):
    """y = weight * (x / rms(x)), rounded where transformers rounds; the gradient reaches x only."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if compiled.serves(x, weight):
            normal, scale = compiled.norm(x, weight, epsilon)
        else:
            scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + epsilon)
            normal = scaled(x, weight, scale)
        ctx.save_for_backward(x, weight, scale)
        ctx.mark_non_differentiable(scale)
        return normal, scale

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        if compiled.serves(x, weight):
            return compiled.norm_back(gradients[0], x, weight, scale), None, None
        # With n = x * scale and g = gradient * weight: dx = scale * (g - n * mean(g * n)).
        grad = (gradients[0] * weight).float()
        normal = x.float() * scale
        along = (grad * normal).mean(-1, keepdim=True)
        return grad.sub_(normal.mul_(along)).mul_(scale).to(x.dtype), None, None


def scaled(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """weight * (x * scale) with `scale` fp32[..., 1], rounded where transformers rounds."""
    if compiled.serves(x, weight):
        return compiled.norm_again(x, weight, scale)
    wide = x.float()
    # `wide` is x itself where x is fp32 already.
    normal = (wide * scale if wide is x else wide.mul_(scale)).to(x.dtype)
    return normal.mul_(weight) if normal.dtype == weight.dtype else weight * normal


def fuse_rms_norms(model: torch.nn.Module) -> int:
    """Replace the forward of each frozen RMS normalisation that proves to be one; returns how many were."""
    fused = 0
    for module in model.modules():
        epsilon = getattr(module, "variance_epsilon", None)
        if isinstance(epsilon, float) and _is_rms_norm(module, epsilon):
            setattr(module, "forward", _FusedForward(module, epsilon))  # noqa: B010 - mypy forbids plain assignment
            fused += 1
    return fused


def _is_rms_norm(module: Any, epsilon: float) -> bool:
    """Whether the module does to a random input, to the last bit, what the function above does."""
    weight = getattr(module, "weight", None)
    parameters = list(module.parameters())
    if (
        not isinstance(weight, torch.Tensor)
        or len(parameters) != 1
        or weight.ndim != 1
        or weight.requires_grad
    ):
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, weight.shape[0], generator=generator).to(weight.device, weight.dtype)
    try:
        with torch.no_grad():
            found, _ = _RmsNormFunction.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
            own = module(x)
    except Exception:  # noqa: BLE001 - one that wants a gate, or rows of another shape, is another function
        return False
    return isinstance(own, torch.Tensor) and torch.equal(own, found)


class _FusedForward:
    """The forward that replaces the module's own, for as long as it gets one input and nothing else."""

    def __init__(self, module: Any, epsilon: float) -> None:
        self.module, self.epsilon = module, epsilon

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        if len(args) != 1 or kwargs:
            own: torch.Tensor = type(self.module).forward(self.module, *args, **kwargs)
            return own
        x, weight = args[0], self.module.weight
        normal, scale = _RmsNormFunction.apply(x, weight, self.epsilon)  # type: ignore[no-untyped-call]
        return mark(normal, scaled, x, weight, scale)
