"""The arrays that masking made, as batches: whole conversations one after another in a row, without padding.

Ids and labels pass through untouched: nothing here tokenizes, pads, shifts or compares with a pad token. The
proof at the end of the file holds every batch that reaches the loss against the arrays.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from app.masking import IGNORE_INDEX, MaskArrays, MaskingError, Split, arrays_hash, read_arrays
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed
from worker.work.training.process_group import ProcessGroup

# No token id and no label: marks what never reached the loss.
UNSEEN = np.iinfo(np.int32).min

Sample = dict[str, Any]
Batch = dict[str, Any]


def load_arrays(path: Path, expected_hash: str, expected_file_hash: str | None = None) -> MaskArrays:
    """Read the arrays and refuse them unless they are the very ones that were checked."""
    try:
        return read_arrays(path, expected_hash, expected_file_hash=expected_file_hash)
    except MaskingError as error:
        raise JobFailed.of(error) from error


class ArraySamples(Dataset[Sample]):
    """The samples of one split as views into the arrays."""

    def __init__(self, arrays: MaskArrays, split: Split) -> None:
        self.arrays = arrays
        self.indices = arrays.places(split)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Sample:
        index = int(self.indices[position])
        start, end = int(self.arrays.offsets[index]), int(self.arrays.offsets[index + 1])
        return {
            "index": index,
            "input_ids": self.arrays.input_ids[start:end],
            "labels": self.arrays.labels[start:end],
        }

    def lengths(self) -> list[int]:
        """Tokens of each sample, trained or not."""
        offsets = np.asarray(self.arrays.offsets)
        found: list[int] = (offsets[self.indices + 1] - offsets[self.indices]).tolist()
        return found

    def tokens(self) -> int:
        """All tokens of the split, trained or not."""
        return sum(self.lengths())

    def trained_tokens(self) -> int:
        """Labels that the loss will see: nothing comes before a sample's first token to predict it."""
        return sum(int((self[i]["labels"][1:] != IGNORE_INDEX).sum()) for i in range(len(self)))


def pack(samples: list[Sample]) -> Batch:
    """One row of whole conversations.

    input_ids, labels, position_ids: int64[1, tokens], positions starting at 0 in each conversation; borders:
    where each begins, and the end of the last; sample_indices: their places in the arrays. Of no conversations it is a
    row without tokens.
    """
    if not samples:
        nothing = torch.zeros((1, 0), dtype=torch.int64)
        rows = dict.fromkeys(("input_ids", "labels", "position_ids"), nothing)
        return {**rows, "borders": [0], "sample_indices": []}
    lengths = [len(sample["input_ids"]) for sample in samples]
    return {
        "input_ids": _row(np.concatenate([sample["input_ids"] for sample in samples])),
        "labels": _row(np.concatenate([sample["labels"] for sample in samples])),
        "position_ids": _row(np.concatenate([np.arange(length) for length in lengths])),
        "borders": [0, *np.cumsum(lengths).tolist()],
        "sample_indices": [sample["index"] for sample in samples],
    }


def _row(values: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64))[None]


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The same batch with its tensors there."""
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()
    }


def next_token_targets(labels: torch.Tensor, borders: list[int]) -> torch.Tensor:
    """What each position has to predict: the next token's label, and nothing at a conversation's end.

    labels: int64[1, tokens]; returns int64[tokens].
    """
    targets = torch.full_like(labels[0], IGNORE_INDEX)
    targets[:-1] = labels[0, 1:]
    targets[[border - 1 for border in borders[1:]]] = IGNORE_INDEX
    return targets


def needed_places(targets: torch.Tensor, borders: list[int]) -> tuple[torch.Tensor, list[int]]:
    """The places that a loss over `targets` depends on, and the borders of what is left of each conversation.

    Nobody looks ahead, so what comes after a conversation's last trained place reaches no loss, and a conversation without
    one reaches none at all. targets: int64[tokens] as `next_token_targets` gives them; returns int64[needed].
    """
    trained = (targets != IGNORE_INDEX).tolist()
    ranges, left = [], [0]
    for start, end in pairwise(borders):
        while end > start and not trained[end - 1]:
            end -= 1
        if end > start:
            ranges.append(torch.arange(start, end, device=targets.device))
            left.append(left[-1] + end - start)
    return torch.cat(ranges) if ranges else targets.new_empty(0), left


# Places of samples in an epoch, which counts from 0.
Order = Callable[[int], list[int]]


def epoch_order(size: int, seed: int, epoch: int) -> list[int]:
    """Places of samples, each once: `epoch` counts from 0.

    It is the order that accelerate's SeedableRandomSampler gives for this seed, so that whatever trains with
    transformers' Trainer goes through the same samples in the same order.
    """
    order: list[int] = torch.randperm(size, generator=torch.Generator().manual_seed(seed + epoch)).tolist()
    return order


class EpochBatches(Sampler[list[int]]):
    """Batches in an order that depends on the epoch alone, so that a resumed run repeats it.

    Of several processes each takes every n-th, all of them as many: the last may be empty.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int | None,
        order: Order | None = None,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """Shuffled by `seed`, or as `order` says; without either as they lie."""
        self.size, self.batch_size, self.seed, self.order = size, batch_size, seed, order
        self.rank, self.processes = rank, processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // (self.batch_size * self.processes))

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order_of(self.epoch)
        for place in range(len(self)):
            start = (place * self.processes + self.rank) * self.batch_size
            yield order[start : start + self.batch_size]

    def _order_of(self, epoch: int) -> list[int]:
        if self.order is not None:
            return self.order(epoch)
        return list(range(self.size)) if self.seed is None else epoch_order(self.size, self.seed, epoch)


class EpochLoader(DataLoader[Sample]):
    """A loader of packed batches that hands the epoch on to its order. Collating is quick: no workers."""

    def __init__(
        self,
        samples: ArraySamples,
        batch_size: int,
        seed: int | None,
        order: Order | None = None,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.order = EpochBatches(len(samples), batch_size, seed, order, rank=rank, processes=processes)
        # A generator of its own: creating an iterator draws a number, which must not come out of dropout's.
        generator = torch.Generator().manual_seed(0)
        super().__init__(samples, batch_sampler=self.order, collate_fn=pack, generator=generator)

    def set_epoch(self, epoch: int) -> None:
        self.order.set_epoch(epoch)


class LabelProof:
    """Holds what reaches the loss against the arrays, in every batch, and hashes it in their order.

    Once every sample has been seen, the hash of what was seen is the hash of the arrays, or the run fails.
    """

    def __init__(self, arrays: MaskArrays) -> None:
        self.arrays = arrays
        self.input_ids = np.full_like(np.asarray(arrays.input_ids), UNSEEN)
        self.labels = np.full_like(np.asarray(arrays.labels), UNSEEN)
        self.seen = np.zeros(len(arrays.offsets) - 1, dtype=bool)

    def check(self, batch: Batch) -> None:
        """Called with the tensors that the loss is about to use. Raises JobFailed on any difference."""
        input_ids = batch["input_ids"][0].cpu().numpy()
        labels = batch["labels"][0].cpu().numpy()
        borders = batch["borders"]
        for place, index in enumerate(batch["sample_indices"]):
            there = slice(int(self.arrays.offsets[index]), int(self.arrays.offsets[index + 1]))
            here = slice(borders[place], borders[place + 1])
            if not (
                np.array_equal(labels[here], self.arrays.labels[there])
                and np.array_equal(input_ids[here], self.arrays.input_ids[there])
            ):
                raise JobFailed(
                    FailureCode.ARRAYS_DIFFER,
                    N_(
                        "The labels that reached the loss differ from the checked masks in conversation "
                        "%(id)d. The run was stopped; report this as a defect."
                    ),
                    id=int(self.arrays.conversation_ids[index]),
                )
            if not self.seen[index]:
                self.labels[there], self.input_ids[there] = labels[here], input_ids[here]
                self.seen[index] = True

    def mark_seen(self, indices: list[int]) -> None:
        """Samples that passed this check before the run was interrupted, as its checkpoint recorded."""
        for index in indices:
            there = slice(int(self.arrays.offsets[index]), int(self.arrays.offsets[index + 1]))
            self.labels[there] = self.arrays.labels[there]
            self.input_ids[there] = self.arrays.input_ids[there]
            self.seen[index] = True

    def forget(self) -> None:
        """Begin anew: what was seen so far was not trained on."""
        self.input_ids.fill(UNSEEN)
        self.labels.fill(UNSEEN)
        self.seen.fill(False)

    def merge(self, group: ProcessGroup) -> None:
        """Let what other processes saw count: what was not seen is less than any id and any label."""
        seen = self.seen.astype(np.uint8)
        for values in (self.input_ids, self.labels, seen):
            group.largest(values)
        self.seen = seen.astype(bool)

    def labels_hash(self, expected_hash: str) -> str:
        """The hash of what was seen; equal to the arrays' own as soon as every sample was."""
        found = arrays_hash(self.input_ids, self.labels, np.asarray(self.arrays.offsets))
        if self.seen.all() and found != expected_hash:
            raise JobFailed(
                FailureCode.ARRAYS_DIFFER,
                N_("The arrays changed while the run was training on them; nothing of it is kept."),
            )
        return found
