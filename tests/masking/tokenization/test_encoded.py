"""Which tokens belong to a range of text: those that begin in it."""

import numpy as np

from app.masking import IGNORE_INDEX
from app.masking.tokenization.encoded import Encoded

# "ab|cd|e": the second token begins at 2; a character split over the last two shares its range
ENCODED = Encoded(
    np.array([7, 8, 9, 10], dtype=np.int32),
    np.array([0, 2, 4, 4], dtype=np.int32),
    np.array([2, 4, 5, 5], dtype=np.int32),
)


def test_a_token_that_straddles_the_start_is_left_out_and_one_that_straddles_the_end_is_not() -> None:
    assert ENCODED.tokens_of(0, 2) == slice(0, 1)
    assert ENCODED.tokens_of(1, 3) == slice(1, 2)
    assert ENCODED.tokens_of(4, 5) == slice(2, 4)
    assert ENCODED.tokens_of(3, 3) == slice(2, 2)


def test_labels_are_the_ids_of_the_ranges_and_nothing_else() -> None:
    assert ENCODED.labels_of([(0, 2), (4, 5)]).tolist() == [7, IGNORE_INDEX, 9, 10]
    assert ENCODED.labels_of([]).tolist() == [IGNORE_INDEX] * 4
    assert ENCODED.labels_of([(3, 1)]).tolist() == [IGNORE_INDEX] * 4
