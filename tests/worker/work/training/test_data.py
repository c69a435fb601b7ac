"""Arrays into batches: what is packed, what is predicted, and that no label is ever touched."""

from pathlib import Path

import numpy as np
import pytest
from accelerate.data_loader import SeedableRandomSampler

from tests.worker.conftest import IGNORE_INDEX, random_samples, write_arrays_file
from worker.work.protocol import JobFailed
from worker.work.training.data import (
    ArraySamples,
    EpochBatches,
    EpochLoader,
    LabelProof,
    load_arrays,
    next_token_targets,
    pack,
)

PAD_AND_END_OF_TURN = 2


@pytest.fixture
def arrays_file(tmp_path: Path) -> tuple[Path, str]:
    samples = [
        ([5, 6, 7, PAD_AND_END_OF_TURN], [IGNORE_INDEX, IGNORE_INDEX, 7, PAD_AND_END_OF_TURN]),
        ([8, 9, PAD_AND_END_OF_TURN], [8, 9, PAD_AND_END_OF_TURN]),
        ([4, 4], [IGNORE_INDEX, 4]),
        ([3, 1], [IGNORE_INDEX, 1]),
    ]
    path = tmp_path / "arrays.safetensors"
    return path, write_arrays_file(path, samples, [0, 0, 1, 0])


def test_a_row_holds_whole_conversations_with_positions_from_zero(arrays_file: tuple[Path, str]) -> None:
    batch = pack([ArraySamples(load_arrays(*arrays_file), 0)[i] for i in (1, 0)])
    assert batch["input_ids"].tolist() == [[8, 9, 2, 5, 6, 7, 2]]
    assert batch["labels"].tolist() == [[8, 9, 2, -100, -100, 7, 2]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3]]
    assert batch["borders"] == [0, 3, 7]
    assert batch["sample_indices"] == [1, 0]


def test_no_conversation_predicts_the_next_ones_first_token(arrays_file: tuple[Path, str]) -> None:
    batch = pack([ArraySamples(load_arrays(*arrays_file), 0)[i] for i in (0, 1)])
    targets = next_token_targets(batch["labels"], batch["borders"])
    # Sample 1 trains its first token too (strategy `all`): nothing in its own conversation predicts that one.
    assert targets.tolist() == [-100, 7, 2, -100, 9, 2, -100]


def test_an_end_of_turn_that_is_also_the_pad_token_stays_a_label(arrays_file: tuple[Path, str]) -> None:
    samples = ArraySamples(load_arrays(*arrays_file), 0)
    assert all((sample["labels"] == PAD_AND_END_OF_TURN).any() for sample in (samples[0], samples[1]))
    assert samples.trained_tokens() == 5


def test_each_epoch_has_every_sample_once_in_an_order_that_can_be_repeated() -> None:
    order = EpochBatches(10, 3, seed=5)
    first = list(order)
    assert [len(batch) for batch in first] == [3, 3, 3, 1]
    assert sorted(place for batch in first for place in batch) == list(range(10))
    assert list(order) == first
    order.set_epoch(1)
    assert list(order) != first
    again = EpochBatches(10, 3, seed=5)
    again.set_epoch(1)
    assert list(again) == list(order)


def test_the_order_is_that_of_every_trainer_that_accelerate_feeds() -> None:
    theirs = SeedableRandomSampler(range(10), data_seed=5)  # type: ignore[arg-type]
    ours = EpochBatches(10, 3, seed=5)
    for epoch in range(3):
        theirs.set_epoch(epoch)
        ours.set_epoch(epoch)
        assert [place for batch in ours for place in batch] == list(theirs)


def test_a_file_whose_labels_were_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    honest = write_arrays_file(path, random_samples([8, 9]), [0, 0])
    write_arrays_file(path, random_samples([8, 9], seed=1), [0, 0], told_hash=honest)
    with pytest.raises(JobFailed, match="hash"):
        load_arrays(path, honest)


def test_arrays_other_than_the_checked_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    checked = write_arrays_file(path, random_samples([8, 9]), [0, 0])
    write_arrays_file(path, random_samples([8, 9], seed=1), [0, 0])
    with pytest.raises(JobFailed, match="hash"):
        load_arrays(path, checked)


@pytest.mark.parametrize("content", [None, b"not safetensors"])
def test_a_missing_or_broken_file_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "arrays.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JobFailed, match=r"arrays\.safetensors"):
        load_arrays(path, "0" * 64)


def test_what_reached_the_loss_hashes_to_the_arrays_hash_whatever_the_order(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    checked = write_arrays_file(path, random_samples([8, 9, 7, 5, 6]), [0, 0, 1, 0, 0])
    arrays = load_arrays(path, checked)
    proof = LabelProof(arrays)
    for batch in EpochLoader(ArraySamples(arrays, 0), 3, seed=1):
        proof.check(batch)
    assert proof.labels_hash(checked) != checked
    for batch in EpochLoader(ArraySamples(arrays, 1), 3, seed=None):
        proof.check(batch)
    assert proof.labels_hash(checked) == checked


@pytest.mark.parametrize("name", ["labels", "input_ids"])
def test_a_batch_that_differs_from_the_arrays_stops_the_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / "arrays.safetensors"
    arrays = load_arrays(path, write_arrays_file(path, random_samples([8, 9]), [0, 0]))
    batch = pack([ArraySamples(arrays, 0)[i] for i in (0, 1)])
    LabelProof(arrays).check(batch)
    batch[name][0, -1] = IGNORE_INDEX
    with pytest.raises(JobFailed, match="conversation 102"):
        LabelProof(arrays).check(batch)


def test_arrays_that_change_in_memory_after_they_were_checked_are_found_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    checked = write_arrays_file(path, random_samples([8, 9]), [0, 0])
    arrays = load_arrays(path, checked)
    writable = np.array(arrays.labels)
    object.__setattr__(arrays, "labels", writable)
    writable[1] = 1 if writable[1] == IGNORE_INDEX else IGNORE_INDEX
    proof = LabelProof(arrays)
    for batch in EpochLoader(ArraySamples(arrays, 0), 2, seed=None):
        proof.check(batch)
    with pytest.raises(JobFailed, match="changed"):
        proof.labels_hash(checked)
