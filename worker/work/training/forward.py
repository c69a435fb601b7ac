"""The model's pass over a packed batch, down to the summed loss of its trained tokens.

Two ways with one result. The fast one runs all conversations of a row together and meets the vocabulary only
at trained positions; the plain one calls the model as its authors wrote it, a conversation at a time, in the
attention that transformers loads it with. Which one a run takes is decided in `trial.py`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from app.masking import IGNORE_INDEX
from worker.work.training.attention import edges_of
from worker.work.training.data import Batch, LabelProof, needed_places, next_token_targets
from worker.work.training.loss import cross_entropy_sum
from worker.work.training.prefixes import SharedPrefixes, draws_dropout
from worker.work.training.shapes import is_compiled_for, rows_beside
from worker.work.training.weights import causal_model, computing_in

# Logits of so many positions are fp32 at a time where no gradient is wanted.
PLAIN_ROWS = 1024

LossPass = Callable[[Batch], torch.Tensor]
# Sum of the loss of hidden states[trained, width] that go through an output layer, against int64[trained].
SummedLoss = Callable[[torch.Tensor, torch.nn.Module, torch.Tensor], torch.Tensor]


class PackedPass:
    """All conversations of the row at once, each as far as its last trained token."""

    def __init__(self, model: Any, summed: SummedLoss | None = None, shares_from: int | None = None) -> None:
        """`summed` takes the place of the studio's own loss. What conversations share at their beginnings, so many tokens at least,
        is computed once; None: never."""
        self.model, self.summed, self.shares_from = model, summed, shares_from
        self.drops = shares_from is not None and draws_dropout(model)
        whole = causal_model(model)
        self.body = whole.get_decoder()
        self.head = whole.get_output_embeddings()
        # As the products of its layers are.
        self.factor = whole.get_input_embeddings().weight

    def hidden(self, batch: Batch, prefixes: SharedPrefixes | None = None) -> torch.Tensor:
        """The last hidden states: [1, tokens, width], with `prefixes` those of the computed tokens."""
        ids, positions, borders = batch["input_ids"], batch["position_ids"], batch["borders"]
        shared = {}
        if prefixes is not None:
            ids, positions = ids[:, prefixes.computed], positions[:, prefixes.computed]
            shared = {"prefixes": prefixes}
        found: torch.Tensor = self.body(
            input_ids=ids,
            position_ids=positions,
            borders=borders,
            edges=edges_of(borders, ids.device),
            use_cache=False,
            **shared,
        ).last_hidden_state
        return found

    def prefixes_of(self, batch: Batch) -> SharedPrefixes | None:
        """What is computed once; nothing where dropout makes something else of it in each conversation."""
        if self.shares_from is None or (self.drops and self.model.training):
            return None
        return SharedPrefixes.of(batch["input_ids"], batch["borders"], self.shares_from)

    def _beside(self, batch: Batch, needed: torch.Tensor, borders: list[int]) -> int:
        """How many tokens the last conversation is to have after its last trained one, where nothing of them reaches a loss."""
        if not is_compiled_for(self.factor):
            return 0
        shared = self.prefixes_of({"input_ids": batch["input_ids"][:, needed], "borders": borders})
        return rows_beside(len(needed if shared is None else shared.computed), self.factor)

    def __call__(self, batch: Batch) -> torch.Tensor:
        targets = next_token_targets(batch["labels"], batch["borders"])
        needed, borders = needed_places(targets, batch["borders"])
        if len(needed):  # a model is given one token at least
            beside = self._beside(batch, needed, borders)
            places = torch.cat((needed, needed[-1:].expand(beside)))
            rows = {name: batch[name][:, places] for name in ("input_ids", "position_ids")}
            targets = functional.pad(targets[needed], (0, beside), value=IGNORE_INDEX)
            batch = {**rows, "borders": [*borders[:-1], borders[-1] + beside]}
        # Places and no mask: how many it picks is known before the model runs, so that nobody waits for it in between.
        trained = (targets != IGNORE_INDEX).nonzero()[:, 0]
        summed = self.summed or cross_entropy_sum
        prefixes = self.prefixes_of(batch)
        places = trained if prefixes is None else prefixes.places[trained]
        return summed(self.hidden(batch, prefixes)[0, places], self.head, targets[trained])


class PlainPass:
    """The model's own forward, one conversation at a time, its own attention and its own logits."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, batch: Batch) -> torch.Tensor:
        borders = batch["borders"]
        total = torch.zeros((), dtype=torch.float32, device=batch["input_ids"].device)
        for start, end in pairwise(borders):
            input_ids, labels = batch["input_ids"][:, start:end], batch["labels"][:, start:end]
            trained = labels[0, 1:] != IGNORE_INDEX
            logits, targets = self.logits(input_ids)[0, :-1][trained], labels[0, 1:][trained]
            for rows, wanted in zip(
                torch.split(logits, PLAIN_ROWS), torch.split(targets, PLAIN_ROWS), strict=True
            ):
                total = total + functional.cross_entropy(rows.float(), wanted, reduction="sum")
        return total

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """One conversation's: [1, tokens, vocabulary]."""
        found: torch.Tensor = self.model(input_ids=input_ids, use_cache=False).logits
        return found


class FinePass:
    """A pass that computes in `dtype` on weights that are kept in a finer one; in whichever thread it is called."""

    def __init__(self, loss_pass: LossPass, model: Any, dtype: torch.dtype, device: torch.device) -> None:
        self.loss_pass, self.model, self.dtype, self.device = loss_pass, model, dtype, device

    def __call__(self, batch: Batch) -> torch.Tensor:
        with computing_in(self.dtype, self.model, self.device):
            return self.loss_pass(batch)


class ProvenPass:
    """The pass that the trainer calls: the batch is held against the arrays before it may count."""

    def __init__(self, loss_pass: LossPass, proof: LabelProof) -> None:
        self.loss_pass, self.proof = loss_pass, proof

    def __call__(self, batch: Batch) -> torch.Tensor:
        self.proof.check(batch)
        return self.loss_pass(batch)
