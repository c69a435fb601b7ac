"""Where tokens lie in the text: worked out from their own bytes, and the same as the library's offsets."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.masking import ChatTokenizer
from app.masking.tokenization.token_bytes import TokenBytes

letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.sampled_from(
    ["报价", "👩‍👩‍👧", "e\u0301", "\r\n", "<|im_end|>", " per month", "ﷺ", "\U000f00a7", ""]
)
texts = st.lists(st.lists(st.one_of(letters, words), max_size=6).map("".join), max_size=5)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts)
def test_offsets_of_a_batch_are_the_librarys_own(smollm2: ChatTokenizer, batch: list[str]) -> None:
    assert smollm2.encoder.token_bytes is not None
    ours = smollm2.encoder.encode_many(batch)
    theirs = smollm2.encoder.encode_with_offsets(batch)
    assert len(ours) == len(batch)
    for text, own, known in zip(batch, ours, theirs, strict=True):
        for name in ("ids", "starts", "ends"):
            found, expected = getattr(own, name), getattr(known, name)
            assert found.dtype == np.int32
            assert found.tolist() == expected.tolist(), (text, name)


def test_only_the_texts_whose_bytes_the_tokens_do_not_spell_are_left_to_the_library() -> None:
    table = TokenBytes([b"He", b"llo", "价".encode()[:1], "价".encode()[1:], b"", b"hello"])
    same, lower, split, nothing = table.encoded([[0, 1], [5], [2, 3, 0], []], ["Hello", "Hello", "价He", ""])
    assert same is not None
    assert (same.starts.tolist(), same.ends.tolist()) == ([0, 2], [2, 5])
    assert lower is None
    assert split is not None
    assert (split.starts.tolist(), split.ends.tolist()) == ([0, 0, 1], [1, 1, 3])
    assert nothing is not None
    assert nothing.ids.tolist() == []
