"""Runs of tokens, by which texts that say the same in the same words are told."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

# Tokens in a row that are no coincidence: about six words.
TOKEN_RUN: Final = 8
# So many are hashed at a time, so that memory stays small however much there is.
RUN_CHUNK: Final = 1 << 20
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)


def run_hashes(tokens: npt.NDArray[np.signedinteger[Any]]) -> npt.NDArray[np.uint64]:
    """One hash for each run of `TOKEN_RUN` tokens, none where there are fewer; runs that are equal have equal ones."""
    count = max(0, len(tokens) - TOKEN_RUN + 1)
    hashes = np.zeros(count, np.uint64)
    values = tokens.astype(np.uint64) + np.uint64(1)
    for place in range(TOKEN_RUN):
        hashes = hashes * _FACTOR + values[place : place + count]
        hashes ^= hashes >> np.uint64(29)
    return hashes
