"""Held-out loss: the mean cross-entropy over the trained tokens of the validation split.

The arrays are the ones that masking made. Logits are computed only where a token is trained.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from app.masking import IGNORE_INDEX, MaskArrays, Split
from app.sentences import N_, FailureCode
from worker.work.evaluation.loading import LoadedModel
from worker.work.protocol import Control, JobFailed

# Logits of so many positions exist at a time in fp32.
LOSS_CHUNK = 256


@dataclass(frozen=True)
class HeldOutLoss:
    """`loss` in nats per trained token; `perplexity` is its exponential."""

    loss: float
    conversations: int
    trained_tokens: int

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.loss < 700 else math.inf


def validation_samples(arrays: MaskArrays) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(input_ids, labels) int64 of each held-out sample that has something to predict."""
    samples = []
    for index in arrays.places(Split.VALIDATION).tolist():
        ids, labels = (torch.from_numpy(values.astype("int64")) for values in arrays.sample(index))
        if bool((labels[1:] != IGNORE_INDEX).any()):
            samples.append((ids, labels))
    return samples


def held_out_loss(
    loaded: LoadedModel,
    model: Any,
    samples: list[tuple[torch.Tensor, torch.Tensor]],
    control: Control,
    done: Callable[[], None] = lambda: None,
) -> HeldOutLoss | None:
    """None without samples. `done` is called after each one; Cancelled is raised between two.

    Raises JobFailed where the loss is no number.
    """
    total, count = 0.0, 0
    for ids, labels in samples:
        control.raise_if_cancelled()
        summed, predicted = _summed_loss(loaded, model, ids.to(loaded.device), labels.to(loaded.device))
        total += summed
        count += predicted
        if not math.isfinite(total):
            raise JobFailed(
                FailureCode.NOT_A_NUMBER,
                N_(
                    "The held-out loss is no number: the adapter or the base model is damaged. Train again with a "
                    "lower learning rate, or prepare the base model again."
                ),
            )
        done()
    return HeldOutLoss(total / count, len(samples), count) if count else None


@torch.inference_mode()
def _summed_loss(
    loaded: LoadedModel, model: Any, ids: torch.Tensor, labels: torch.Tensor
) -> tuple[float, int]:
    """The sum over one sample: the token at position p is predicted from position p - 1."""
    targets = labels[1:]
    positions = torch.nonzero(targets != IGNORE_INDEX).flatten()
    logits = model(input_ids=ids[None], use_cache=False, logits_to_keep=positions).logits[0]
    if len(logits) != len(positions):
        # Some architectures pass over what they do not know, and give all.
        logits = logits[positions]
    summed = 0.0
    for start in range(0, len(positions), LOSS_CHUNK):
        piece = slice(start, start + LOSS_CHUNK)
        summed += float(
            functional.cross_entropy(logits[piece].float(), targets[positions[piece]], reduction="sum")
        )
    return summed, len(positions)
