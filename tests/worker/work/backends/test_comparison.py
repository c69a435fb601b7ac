"""A tool's tokens are the checked ones, or the sentence says which sample differs and in how many tokens."""

from pathlib import Path

import numpy as np
import pytest

from app.masking import MaskArrays, read_arrays
from app.sentences import FailureCode
from tests.worker.conftest import random_samples, write_arrays_file
from worker.work.backends.comparison import Comparison
from worker.work.protocol import JobFailed

SAMPLES = random_samples([12, 9, 14, 12])
Row = list[list[int]]


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """Three samples to train, the last held out; the tool is TRL."""
    path = tmp_path / "arrays.safetensors"
    return Comparison(read_arrays(path, write_arrays_file(path, SAMPLES, [0, 0, 0, 1])), "trl")


def rows(*places: int) -> list[Row]:
    return [[list(SAMPLES[place][0]), list(SAMPLES[place][1])] for place in places]


def told(comparison: Comparison, place: int, ids: list[int], labels: list[int], padded: int = 0) -> str:
    with pytest.raises(JobFailed) as refused:
        comparison.check_sample(place, ids, labels, padded)
    assert refused.value.code == FailureCode.ARRAYS_DIFFER
    return str(refused.value)


def test_equal_tokens_are_silent_and_seen_once_trained(comparison: Comparison) -> None:
    for place in range(3):
        comparison.check_sample(place, *SAMPLES[place], 0)
    comparison.check_number(3)
    assert not comparison.proof.seen.any()
    comparison.check_batch(rows(2, 0), 0, 1)
    assert comparison.proof.seen.tolist() == [True, False, True, False]


def test_another_label_another_id_and_another_length_are_counted(comparison: Comparison) -> None:
    ids, labels = SAMPLES[1]
    other = [-100 if place in (3, 8) else label for place, label in enumerate(labels)]
    expected = int(np.count_nonzero(np.asarray(other) != np.asarray(labels)))
    said = told(comparison, 1, ids, other)
    assert f"sample 2, of conversation 102, differs in {expected} tokens. Nothing was trained" in said
    assert "differs in 1 tokens" in told(comparison, 1, [7, *ids[1:]], labels)
    assert "differs in 2 tokens" in told(comparison, 1, [*ids, 1, 2], [*labels, -100, -100])
    assert "differs in 9 tokens" in told(comparison, 1, [], [])
    # Padding that would be trained counts too.
    assert "differs in 4 tokens" in told(comparison, 1, ids, labels, padded=4)


def test_samples_that_are_missing_or_too_many_are_refused(comparison: Comparison) -> None:
    comparison.check_sample(3, [1], [1], 0)
    for count in (2, 4):
        with pytest.raises(JobFailed, match=f"would train {count} samples and the mask check has 3"):
            comparison.check_number(count)


@pytest.mark.parametrize("padded", [0, 1])
def test_a_batch_of_anything_else_ends_the_run(comparison: Comparison, padded: int) -> None:
    row = rows(1)[0] if padded else rows(3)[0]
    with pytest.raises(JobFailed, match="in no checked sample, in step 5"):
        comparison.check_batch([row], padded, 5)


def test_equal_samples_are_each_seen(tmp_path: Path) -> None:
    path = tmp_path / "twice.safetensors"
    twice = [SAMPLES[0], SAMPLES[0]]
    arrays: MaskArrays = read_arrays(path, write_arrays_file(path, twice, [0, 0]))
    found = Comparison(arrays, "axolotl")
    found.check_batch(rows(0, 0), 0, 1)
    assert found.proof.seen.all()
