"""The second way to encode a sample gives the same ids, and does not depend on the first."""

import numpy as np

from app.masking import ChatTokenizer, MaskedSample, MaskSettings, mask_conversation
from app.masking.checking.second_encoding import FEW, outside_spelled, second_encodings, tokens_inside
from tests.support.masks import ATTACK, chat


def sample_of(tokenizer: ChatTokenizer, *turns: str) -> MaskedSample:
    return mask_conversation(tokenizer, chat(*turns), MaskSettings()).samples[0]


def test_a_few_samples_and_many_get_the_ids_of_the_model(smollm2: ChatTokenizer) -> None:
    for count in (1, FEW + 1):
        samples = [sample_of(smollm2, f"Hi {number} 你好", "Hello\n") for number in range(count)]
        for sample, second in zip(samples, second_encodings(smollm2, samples), strict=True):
            assert second.ids is not None
            assert np.array_equal(second.ids, sample.encoded.ids)


def test_an_encoding_that_was_spoiled_is_not_repeated(smollm2: ChatTokenizer) -> None:
    sample = sample_of(smollm2, "Hi there", "Hello")
    ids = sample.encoded.ids.copy()
    sample.encoded.ids[3] += 1
    (second,) = second_encodings(smollm2, [sample])
    assert second.ids is not None
    assert np.array_equal(second.ids, ids)


def test_of_a_text_that_spells_control_tokens_only_the_rest_can_be_compared(smollm2: ChatTokenizer) -> None:
    clean, attacked = sample_of(smollm2, "Hi", "Hello"), sample_of(smollm2, ATTACK, "Hello")
    first, second = second_encodings(smollm2, [clean, attacked])
    assert (first.ids is not None, first.encoded) == (True, None)
    assert second.ids is None
    assert second.encoded is not None
    ranges = outside_spelled(attacked.layout)
    said = [attacked.text[start:end] for start, end in ranges]
    assert "free for life" not in "".join(said)
    assert any("Hello" in piece for piece in said)
    ours, theirs = (tokens_inside(encoded, ranges) for encoded in (attacked.encoded, second.encoded))
    assert [token[:2] for token in ours] == [token[:2] for token in theirs]
