"""The model's pass over a packed batch, down to the summed loss of its trained tokens.

Two ways with one result. The fast one runs all conversations of a row together and meets the vocabulary only
at trained positions; the plain one calls the model as its authors wrote it, a conversation at a time.
`choose_pass` measures on the user's own data that both agree, and takes the plain one where they do not.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from app.jobs.events import Emit
from app.masking import IGNORE_INDEX
from app.sentences import N_
from worker.work.protocol import log
from worker.work.training.attention import PACKED_ATTENTION, PackedAttentionUnsupported
from worker.work.training.data import Batch, LabelProof, next_token_targets
from worker.work.training.loss import cross_entropy_sum

# Largest relative difference of the mean loss that rounding explains (measured: 2e-7 and 1e-3).
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-2}

LossPass = Callable[[Batch], torch.Tensor]


class PackedPass:
    """All conversations of the row at once."""

    def __init__(self, model: Any) -> None:
        causal_model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.body = causal_model.get_decoder()
        self.head = causal_model.get_output_embeddings()

    def __call__(self, batch: Batch) -> torch.Tensor:
        hidden = self.body(
            input_ids=batch["input_ids"],
            position_ids=batch["position_ids"],
            borders=batch["borders"],
            use_cache=False,
        ).last_hidden_state
        targets = next_token_targets(batch["labels"], batch["borders"])
        trained = targets != IGNORE_INDEX
        return cross_entropy_sum(hidden[0, trained], self.head, targets[trained])


class PlainPass:
    """The model's own forward, one conversation at a time, its own attention and its own logits."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, batch: Batch) -> torch.Tensor:
        borders = batch["borders"]
        total = torch.zeros((), dtype=torch.float32, device=batch["input_ids"].device)
        for start, end in pairwise(borders):
            input_ids, labels = batch["input_ids"][:, start:end], batch["labels"][:, start:end]
            logits = self.model(input_ids=input_ids, use_cache=False).logits[0, :-1]
            trained = labels[0, 1:] != IGNORE_INDEX
            total = total + functional.cross_entropy(
                logits[trained].float(), labels[0, 1:][trained], reduction="sum"
            )
        return total


class ProvenPass:
    """The pass that the trainer calls: the batch is held against the arrays before it may count."""

    def __init__(self, loss_pass: LossPass, proof: LabelProof) -> None:
        self.loss_pass, self.proof = loss_pass, proof

    def __call__(self, batch: Batch) -> torch.Tensor:
        self.proof.check(batch)
        return self.loss_pass(batch)


def choose_pass(model: Any, batch: Batch, dtype: torch.dtype, emit: Emit) -> LossPass:
    """The packed pass where it agrees with the plain one on `batch`, else the plain one, and says so.

    Architectures differ in what a row of several conversations does to them (sliding windows, recurrent
    layers, scaled or capped logits): this asks the model instead of a list of names.
    """
    plain = PlainPass(model)
    if model.config._attn_implementation != PACKED_ATTENTION:
        return plain
    model.eval()
    with torch.no_grad():
        try:
            packed_loss = float(PackedPass(model)(batch))
        except (PackedAttentionUnsupported, TypeError, AttributeError) as error:
            packed_loss, reason = float("nan"), str(error)
        else:
            reason = "the losses differ"
        with _own_attention(model):
            plain_loss = float(plain(batch))
    if abs(packed_loss - plain_loss) <= TOLERANCE[dtype] * max(abs(plain_loss), 1e-6):
        return PackedPass(model)
    log(
        emit,
        "warning",
        N_(
            "This model's architecture cannot train several conversations in one row (%(reason)s): "
            "they run one at a time, which is slower and gives the same result."
        ),
        reason=reason,
    )
    model.set_attn_implementation(_attention_of_its_own(model))
    return plain


def _attention_of_its_own(model: Any) -> str:
    return "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"


class _own_attention:
    """For the length of a block, the model computes attention its own way."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.model.set_attn_implementation(_attention_of_its_own(self.model))

    def __exit__(self, *_: object) -> None:
        self.model.set_attn_implementation(PACKED_ATTENTION)
