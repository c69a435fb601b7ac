"""The conversations of a batch side by side on several CPU cores, each in a lane with a thread of its own.

The operations of a small model are too short to be shared between threads. Measured with SmolLM2-135M on two
cores: 330 tokens/s with two threads to an operation, 390 with one, 540 in two lanes of one thread each; beside
a busy process the first loses more than half where its threads wait by spinning, and lanes lose only that
process's share. Lanes meet once a batch, and their gradients are added in a fixed order.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import Any

import torch
from peft.tuners.lora.layer import ParamWrapper
from torch.nn.modules.dropout import _DropoutNd

from app.recipes.config import TrainingConfig
from worker.work.training.data import Batch
from worker.work.training.forward import LossPass
from worker.work.training.lora import dropout_drawn_from, fused_dropouts
from worker.work.training.prefixes import asks_for_dropout

# Rotary embeddings of these kinds keep what they computed for the longest row so far.
STATEFUL_POSITIONS = ("dynamic", "longrope")
# By parameter; None where a lane's loss does not depend on it (an expert that no token was sent to, say).
Gradients = tuple[torch.Tensor | None, ...]


class LanedPass:
    """The same sum of losses as `loss_pass` gives for the whole batch."""

    def __init__(self, loss_pass: LossPass, parameters: Sequence[torch.nn.Parameter], lanes: int) -> None:
        self.loss_pass, self.parameters, self.lanes = loss_pass, list(parameters), lanes
        # For this thread too, whose part between batches (clipping, the optimizer's step) is short operations.
        threads = max(1, torch.get_num_threads() // lanes)
        torch.set_num_threads(threads)
        self.pool = ThreadPoolExecutor(
            lanes, thread_name_prefix="lane", initializer=torch.set_num_threads, initargs=(threads,)
        )

    def __call__(self, batch: Batch) -> torch.Tensor:
        if torch.is_grad_enabled():
            loss: torch.Tensor = _LanedLoss.apply(self, batch, *self.parameters)  # type: ignore[no-untyped-call]
            return loss
        return torch.stack([found for found, _ in self.run(batch, backward=False)]).sum()

    def run(self, batch: Batch, *, backward: bool) -> list[tuple[torch.Tensor, Gradients]]:
        """Each lane's loss and, if wanted, its gradients; in the order of the lanes."""
        parts = split(batch, self.lanes)
        # Drawn here: what each lane draws must not depend on which of them is quicker.
        seeds = torch.randint(2**62, (len(parts),)).tolist() if backward else [0] * len(parts)
        return list(self.pool.map(self._run_lane, parts, seeds, [backward] * len(parts)))

    def add_up(self, gradients: list[Gradients], scale: torch.Tensor) -> list[torch.Tensor | None]:
        """Over the lanes, of each parameter, times `scale`; each lane has its part of the parameters."""
        share = max(1, -(-len(gradients) // self.lanes))
        parts = [gradients[start : start + share] for start in range(0, len(gradients), share)]
        added = self.pool.map(lambda part: [_added(found, scale) for found in part], parts)
        return list(chain.from_iterable(added))

    def _run_lane(self, part: Batch, seed: int, backward: bool) -> tuple[torch.Tensor, Gradients]:
        with (
            torch.set_grad_enabled(backward),
            dropout_drawn_from(torch.Generator().manual_seed(seed)),
        ):
            loss = self.loss_pass(part)
            if not backward:
                return loss, ()
            return loss.detach(), torch.autograd.grad(loss, self.parameters, allow_unused=True)


class _LanedLoss(torch.autograd.Function):
    """Goes forward and back at once in each lane; what comes back later only scales the gradients."""

    @staticmethod
    def forward(ctx: Any, laned: LanedPass, batch: Batch, *_: torch.nn.Parameter) -> torch.Tensor:
        losses, gradients = zip(*laned.run(batch, backward=True), strict=True)
        ctx.laned, ctx.gradients = laned, list(zip(*gradients, strict=True))
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found: list[Gradients] = ctx.gradients
        ctx.gradients = []
        return None, None, *ctx.laned.add_up(found, gradients[0])


def _added(found: Gradients, scale: torch.Tensor) -> torch.Tensor | None:
    """The sum over the lanes times `scale`, in the memory of the first: while it is in the cache still."""
    present = [gradient for gradient in found if gradient is not None]
    for other in present[1:]:
        present[0].add_(other)
    return present[0].mul_(scale) if present else None


def split(batch: Batch, lanes: int) -> list[Batch]:
    """Whole conversations in at most so many batches of about the same number of tokens."""
    ranges = list(pairwise(batch["borders"]))
    shares: list[list[int]] = [[] for _ in range(min(lanes, len(ranges)))]
    tokens = [0] * len(shares)
    for place in sorted(range(len(ranges)), key=lambda place: ranges[place][0] - ranges[place][1]):
        lightest = tokens.index(min(tokens))
        shares[lightest].append(place)
        tokens[lightest] += ranges[place][1] - ranges[place][0]
    return [_only(batch, [ranges[place] for place in sorted(share)], sorted(share)) for share in shares]


def _only(batch: Batch, ranges: list[tuple[int, int]], places: list[int]) -> Batch:
    borders = [0]
    for start, end in ranges:
        borders.append(borders[-1] + end - start)
    rows = ("input_ids", "labels", "position_ids")
    return {
        **{name: torch.cat([batch[name][:, start:end] for start, end in ranges], dim=1) for name in rows},
        "borders": borders,
        "sample_indices": [batch["sample_indices"][place] for place in places],
    }


def in_lanes(loss_pass: LossPass, model: Any, config: TrainingConfig, device: torch.device) -> LossPass:
    """`loss_pass` for whole batches: in lanes where more than one is worth it, else as it is."""
    lanes = lanes_for(model, config, device)
    if lanes == 1:
        return loss_pass
    return LanedPass(loss_pass, [p for p in model.parameters() if p.requires_grad], lanes)


def lanes_for(model: Any, config: TrainingConfig, device: torch.device) -> int:
    """How many lanes a batch is worth: one on a GPU, on one core, and where lanes could get into each other's
    way.

    That is where a model keeps something from one call to the next, where dropout draws from the one generator
    of the process, where activations are computed again (which sets that generator back), where PEFT exchanges a
    module's parameters for the length of a call (experts), and where weights in 4 bits are unpacked by a library
    that says nothing about threads. Where every weight is trained, each lane would hold a gradient as large as the model.
    """
    alone = config.gradient_checkpointing or config.load_in_4bit or not config.use_peft
    if device.type != "cpu" or alone:
        return 1
    if asks_for_dropout(model.config):
        return 1
    own = fused_dropouts(model)
    for module in model.modules():
        if getattr(module, "rope_type", None) in STATEFUL_POSITIONS or isinstance(module, ParamWrapper):
            return 1
        if isinstance(module, _DropoutNd) and module.p > 0 and module not in own:
            return 1
    return max(1, min(config.per_device_train_batch_size, torch.get_num_threads()))
