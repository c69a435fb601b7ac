"""Runs of tokens."""

import numpy as np

from app.masking import TOKEN_RUN, run_hashes


def test_equal_runs_have_equal_hashes_whatever_their_type_and_place() -> None:
    tokens = np.arange(40, dtype=np.int32)
    hashes = run_hashes(tokens)
    assert len(hashes) == len(set(hashes.tolist())) == 40 - TOKEN_RUN + 1
    assert run_hashes(tokens[5:].astype(np.int64)).tolist() == hashes[5:].tolist()


def test_fewer_tokens_than_a_run_have_none() -> None:
    assert run_hashes(np.arange(TOKEN_RUN - 1)).tolist() == []
