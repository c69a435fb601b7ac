"""The conversations of a step side by side on several CPU cores, each in a lane with a thread of its own.

The operations of a small model are too short to be shared between threads. Measured with SmolLM2-135M on two
cores: 330 tokens/s with two threads to an operation, 390 with one, 540 in two lanes of one thread each; beside
a busy process the first loses more than half where its threads wait by spinning, and lanes lose only that
process's share. Lanes meet once a step, whatever batches are added up for it, since of four conversations one lane
waits for the other 5 to 15 % of the time, of sixteen 1 %; and their gradients are added in a fixed order. What a lane
has of a step goes through the model in rows, so that no more tokens are in memory than the largest batch has.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import Any

import torch
from peft.tuners.lora.layer import ParamWrapper
from torch.nn.modules.dropout import _DropoutNd

from app.recipes.config import TrainingConfig
from worker.work.training.data import Batch, EpochBatches
from worker.work.training.forward import LossPass
from worker.work.training.lora import dropout_drawn_from, fused_dropouts
from worker.work.training.prefixes import asks_for_dropout

# Rotary embeddings of these kinds keep what they computed for the longest row so far.
STATEFUL_POSITIONS = ("dynamic", "longrope")
# By parameter; None where a lane's loss does not depend on it (an expert that no token was sent to, say).
Gradients = tuple[torch.Tensor | None, ...]


class LanedPass:
    """The same sum of losses as `loss_pass` gives for the whole batch."""

    def __init__(
        self,
        loss_pass: LossPass,
        parameters: Sequence[torch.nn.Parameter],
        lanes: int,
        row_tokens: int | None = None,
        before_row: Callable[[], None] = lambda: None,
    ) -> None:
        """A lane's part goes through in rows of `row_tokens` at most, or longer ones of one conversation; None: in one row. What
        `before_row` raises ends the batch."""
        self.loss_pass, self.parameters, self.lanes = loss_pass, list(parameters), lanes
        self.row_tokens, self.before_row = row_tokens, before_row
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
        rows = [rows_of(part, self.row_tokens) for part in parts]
        # Every other lane begins with its shortest: the longest rows are not all in memory at the same time.
        for shortest_first in rows[1::2]:
            shortest_first.reverse()
        return list(self.pool.map(self._run_lane, rows, seeds, [backward] * len(parts)))

    def add_up(self, gradients: list[Gradients], scale: torch.Tensor) -> list[torch.Tensor | None]:
        """Over the lanes, of each parameter, times `scale`; each lane has its part of the parameters."""
        share = max(1, -(-len(gradients) // self.lanes))
        parts = [gradients[start : start + share] for start in range(0, len(gradients), share)]
        added = self.pool.map(lambda part: [_added(found, scale) for found in part], parts)
        return list(chain.from_iterable(added))

    def _run_lane(self, rows: list[Batch], seed: int, backward: bool) -> tuple[torch.Tensor, Gradients]:
        losses: list[torch.Tensor] = []
        gradients: Gradients = ()
        with (
            torch.set_grad_enabled(backward),
            dropout_drawn_from(torch.Generator().manual_seed(seed)),
        ):
            for row in rows:
                self.before_row()
                loss = self.loss_pass(row)
                losses.append(loss.detach())
                if backward:
                    found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
                    gradients = _both(gradients, found) if gradients else found
        return torch.stack(losses).sum(), gradients


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


def _both(gradients: Gradients, others: Gradients) -> Gradients:
    """The sums, in the memory of the first."""
    return tuple(
        other if one is None else one if other is None else one.add_(other)
        for one, other in zip(gradients, others, strict=True)
    )


def split(batch: Batch, lanes: int) -> list[Batch]:
    """Whole conversations in at most so many batches of about the same number of tokens."""
    lengths = _lengths(batch)
    shares: list[list[int]] = [[] for _ in range(min(lanes, len(lengths)))]
    tokens = [0] * len(shares)
    for place in _longest_first(lengths):
        lightest = tokens.index(min(tokens))
        shares[lightest].append(place)
        tokens[lightest] += lengths[place]
    return [_only(batch, share) for share in shares]


def rows_of(batch: Batch, most_tokens: int | None) -> list[Batch]:
    """Whole conversations in as few rows of at most so many tokens as are soon found, the longest first; one that is longer has a
    row of its own."""
    if most_tokens is None:
        return [batch]
    lengths = _lengths(batch)
    rows: list[list[int]] = []
    room: list[int] = []
    for place in _longest_first(lengths):
        fitting = next((row for row, left in enumerate(room) if lengths[place] <= left), None)
        if fitting is None:
            rows.append([place])
            room.append(most_tokens - lengths[place])
        else:
            rows[fitting].append(place)
            room[fitting] -= lengths[place]
    return [_only(batch, row) for row in rows]


def row_tokens_for(batches: Sequence[Sequence[int]], lanes: int) -> int:
    """The longest rows with which lanes hold no more tokens at a time than the largest of these batches, told by the tokens of their
    conversations; beside the longest conversation of all, too."""
    largest = max(sum(batch) for batch in batches)
    longest = max(max(batch) for batch in batches)
    return min(largest // lanes, (largest - longest) // (lanes - 1))


def _lengths(batch: Batch) -> list[int]:
    return [end - start for start, end in pairwise(batch["borders"])]


def _longest_first(lengths: list[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda place: -lengths[place])


def _only(batch: Batch, share: list[int]) -> Batch:
    """The conversations at these places, in the order of the batch."""
    places = sorted(share)
    ranges = [(batch["borders"][place], batch["borders"][place + 1]) for place in places]
    borders = [0]
    for start, end in ranges:
        borders.append(borders[-1] + end - start)
    rows = ("input_ids", "labels", "position_ids")
    return {
        **{name: torch.cat([batch[name][:, start:end] for start, end in ranges], dim=1) for name in rows},
        "borders": borders,
        "sample_indices": [batch["sample_indices"][place] for place in places],
    }


def in_lanes(
    loss_pass: LossPass,
    model: Any,
    config: TrainingConfig,
    device: torch.device,
    lengths: Sequence[int],
    before_row: Callable[[], None] = lambda: None,
) -> LossPass:
    """`loss_pass` for whole batches of samples of these `lengths`: in lanes where more than one is worth it, else as it is."""
    lanes = lanes_for(model, config, device)
    if lanes == 1:
        return loss_pass
    row_tokens = None
    if config.gradient_accumulation_steps > 1:
        batches = EpochBatches(len(lengths), config.per_device_train_batch_size, config.seed)
        row_tokens = row_tokens_for([[lengths[place] for place in batch] for batch in batches], lanes)
    trained = [p for p in model.parameters() if p.requires_grad]
    return LanedPass(loss_pass, trained, lanes, row_tokens, before_row)


def batches_together(loss_pass: LossPass, config: TrainingConfig) -> int:
    """How many of a step's batches `loss_pass` takes at once: all of them where lanes share them out, else one."""
    return config.gradient_accumulation_steps if isinstance(loss_pass, LanedPass) else 1


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
