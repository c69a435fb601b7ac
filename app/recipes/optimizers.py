"""Optimizers that need a GPU, and what takes their place elsewhere."""

from typing import Final

from app.sentences import N_, Sentence

INSTEAD: Final = "adamw_torch_fused"
_NEEDS_GPU: Final = N_("The optimizer %(optim)s needs a GPU: this run uses adamw_torch_fused instead.")


def fitting_optimizer(optim: str, *, on_cpu: bool) -> tuple[str, Sentence | None]:
    """The optimizer that a device has, and what is said where it is another than was asked for."""
    if not on_cpu or not ("8bit" in optim or "paged" in optim):
        return optim, None
    return INSTEAD, Sentence.of(_NEEDS_GPU, optim=optim)
