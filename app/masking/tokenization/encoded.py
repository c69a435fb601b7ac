"""Token ids with the code points of the text that each token covers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.masking.settings import IGNORE_INDEX

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ids[n]` int32, and for each token the half-open range of code points of the text it covers."""

    ids: Ints
    starts: Ints
    ends: Ints

    def tokens_of(self, start: int, end: int) -> slice:
        """The tokens whose first code point lies in [start, end).

        A token that straddles the start is not among them: the model could not generate it after
        a prompt that already holds its first character. One that straddles the end is, for the
        model generates it from its first character.
        """
        place = self.starts.searchsorted  # the method: the function of the same name costs ten times as much
        return slice(int(place(start)), int(place(max(start, end))))

    def labels_of(self, ranges: Sequence[tuple[int, int]]) -> Ints:
        """`labels[n]`: the ids of the tokens of these ranges of code points, IGNORE_INDEX for all others."""
        labels = np.empty_like(self.ids)
        labels.fill(IGNORE_INDEX)
        borders = (
            self.starts.searchsorted([(start, max(start, end)) for start, end in ranges]) if ranges else ()
        )
        for first, last in borders:
            labels[first:last] = self.ids[first:last]
        return labels
