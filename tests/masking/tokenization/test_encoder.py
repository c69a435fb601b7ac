"""Text to ids: offsets are the library's own, however they were found."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.masking import ChatTokenizer

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
