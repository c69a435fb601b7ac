"""Where there is a GPU: which pieces are quicker there, measured on the run's own conversations before the first step.

On a CPU it was measured once and for all; on a GPU it depends on the card, the model and who wrote which kernel.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from app.jobs.events import Emit
from app.runs.result import AdapterCode
from app.sentences import N_
from worker.work.protocol import log
from worker.work.training.data import Batch
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.lora import fuse_lora_layers, unfuse_lora_layers
from worker.work.training.pieces import adapter_code

# What forward and back over a batch cost, in milliseconds.
Cost = Callable[[PackedPass | PlainPass, Batch], float]
# The first pass compiles kernels and fills the allocator; of the others the quickest counts.
_TURNS: Final = 4


def milliseconds(tried: PackedPass | PlainPass, batch: Batch) -> float:
    """What forward and back take as they are trained. It leaves no gradient, and random numbers and mode as they were."""
    trained = [parameter for parameter in tried.model.parameters() if parameter.requires_grad]
    device = batch["input_ids"].device
    found = []
    with _as_in_training(tried.model, device):
        for _ in range(_TURNS):
            began = time.perf_counter()
            torch.autograd.grad(tried(batch), trained, allow_unused=True)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            found.append(time.perf_counter() - began)
    return 1000 * min(found[1:])


@contextmanager
def _as_in_training(model: Any, device: torch.device) -> Iterator[None]:
    mode = model.training
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        model.train()
        try:
            yield
        finally:
            model.train(mode)


def keep_quicker_layers(
    tried: PackedPass | PlainPass,
    batch: Batch,
    emit: Emit,
    kept: AdapterCode | None = None,
    led: Callable[[Any], Any] = lambda found: found,
    cost: Cost = milliseconds,
) -> None:
    """Leave the adapter's layers to PEFT where its own forward is quicker than the studio's, and say so.

    Nothing is measured where that was `kept` from before. Of several processes the first one's measure counts: `led` gives what it
    found to each of them.
    """
    if adapter_code(tried.model) != "studio" or kept == "studio":
        return
    if kept == "peft":
        unfuse_lora_layers(tried.model)
        return
    own = cost(tried, batch)
    unfuse_lora_layers(tried.model)
    theirs = cost(tried, batch)
    if led(theirs >= own):
        fuse_lora_layers(tried.model)
        return
    log(
        emit,
        "info",
        N_(
            "The adapter's layers run in PEFT's own code, which is quicker here: %(theirs)s ms for forward and back over the "
            "longest conversation, %(own)s ms in the studio's."
        ),
        theirs=f"{theirs:.1f}",
        own=f"{own:.1f}",
    )


def tell_speed(liger: float, own: float, emit: Emit) -> None:
    """Say what Liger's kernels cost beside the studio's own pieces, both in milliseconds."""
    message = (
        N_(
            "Liger's kernels are on: forward and back over the longest conversation take %(liger)s ms with them, %(own)s ms with "
            "the studio's own pieces."
        )
        if liger < own
        else N_(
            "Liger's kernels are on and are no quicker here: forward and back over the longest conversation take %(liger)s ms with "
            "them, %(own)s ms with the studio's own pieces. Without use_liger_kernel it trains as quickly."
        )
    )
    log(emit, "info", message, liger=f"{liger:.1f}", own=f"{own:.1f}")
