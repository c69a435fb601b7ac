"""Cross-entropy over the trained tokens only: logits exist nowhere else and never all at once.

The result is the plain one (the sum of -log p(label) over trained tokens); only the work is arranged
differently: positions without a label never meet the vocabulary, the rest pass through in chunks, and where
the output layer is frozen the gradient of a chunk is computed with it, so that its logits are freed at once.
"""

from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from worker.work.training import compiled
from worker.work.training.shapes import with_rows_beside

# The largest block of logits that exists at any moment: 256 positions of a 49k vocabulary, 50 MB in fp32; twice as many in 16 bits.
# Measured on two cores: larger blocks only add page faults, smaller ones read the output layer too often.
CHUNK_LOGITS = 256 * 49_152
# So few rows at a time go through several operations that they stay in a processor's own cache meanwhile.
BLOCK_ROWS = 16


class _FrozenHeadCrossEntropy(torch.autograd.Function):
    """Sum of the cross-entropy of `hidden @ weight.T (+ bias)`; the gradient reaches `hidden` only."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        chunk: int,
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, hidden.shape[0], chunk):
            rows, wanted = slice(start, start + chunk), targets[start : start + chunk]
            whole = functional.linear(with_rows_beside(hidden[rows], weight), weight, bias)
            logits = whole[: len(wanted)]
            sums, of_wanted = _shares_in_place(logits, wanted)
            total += (sums.log() - of_wanted).sum()
            if gradient is not None:
                # Minus one at the wanted token before anything is rounded: of a sure token little is left. The
                # softmax's division comes last, on narrow rows instead of wide ones.
                places = torch.arange(len(logits), device=logits.device), wanted
                logits[places] = (logits[places].float() - sums).to(logits.dtype)
                gradient[rows] = (whole @ weight)[: len(wanted)].div_(sums[:, None])
        ctx.gradient = gradient
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient = ctx.gradient
        scaled = None if gradient is None else gradient * gradients[0].to(gradient.dtype)
        return scaled, None, None, None, None


def _shares_in_place(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Writes exp(logit - highest of its row) over the logits.

    logits: [rows, vocabulary]. Returns, both fp32[rows], each row's sum of that and the target's own logit less
    the highest. It is done in the model's own precision, whose rounding the logits have already been through;
    only what is summed is summed in fp32.
    """
    if compiled.serves(logits):
        return compiled.softmax_parts_in_place(logits, targets)
    rows = BLOCK_ROWS if logits.device.type == "cpu" else len(logits)
    sums, of_wanted = [], []
    for block, wanted in zip(torch.split(logits, rows), torch.split(targets, rows), strict=True):
        highest = block.amax(-1, keepdim=True)
        of_wanted.append((block.gather(1, wanted[:, None]).float() - highest)[:, 0])
        block.sub_(highest).exp_()
        sums.append(block.sum(-1, dtype=torch.float32))
    return torch.cat(sums), torch.cat(of_wanted)


def rows_at_a_time(vocabulary: int, dtype: torch.dtype) -> int:
    """How many positions have logits of this kind at any moment."""
    return max(1, CHUNK_LOGITS * torch.float32.itemsize // dtype.itemsize // vocabulary)


def cross_entropy_sum(hidden: torch.Tensor, head: torch.nn.Module, targets: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy in fp32 of `head(hidden)` against `targets`.

    hidden: [trained, width], already selected; targets: int64[trained] without IGNORE_INDEX.
    """
    if hidden.shape[0] == 0:
        return hidden.sum().float() * 0.0
    weight = getattr(head, "weight", None)
    vocabulary = weight.shape[0] if type(head) is torch.nn.Linear and weight is not None else 152_000
    if type(head) is torch.nn.Linear and not any(p.requires_grad for p in head.parameters()):
        chunk = rows_at_a_time(vocabulary, head.weight.dtype)
        loss: torch.Tensor = _FrozenHeadCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, head.weight, head.bias, targets, chunk
        )
        return loss
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    # A head that is trained has its loss in fp32.
    chunk = rows_at_a_time(vocabulary, torch.float32)
    for start in range(0, hidden.shape[0], chunk):
        rows = slice(start, start + chunk)
        total = total + checkpoint(_chunk_sum, head, hidden[rows], targets[rows], use_reentrant=False)
    return total


def _chunk_sum(head: torch.nn.Module, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(head(hidden).float(), targets, reduction="sum")
