"""Two sets of samples as one: whole conversations, drawn by a seed, and nothing that was held out among them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from app.masking import (
    ArraysBuilder,
    MaskArrays,
    MaskingError,
    MaskSettings,
    Split,
    arrays_hash,
    mix,
    unmixed,
)
from app.masking.samples.mixing import draw


def arrays(
    first_id: int, lengths: list[int], held_out: int = 0, *, seed: int = 0, windows: int = 1
) -> MaskArrays:
    """A conversation for each length, `windows` samples each; the last `held_out` of them for validation."""
    ids = range(first_id, first_id + len(lengths))
    builder = ArraysBuilder(MaskSettings(), "small", frozenset(ids[len(lengths) - held_out :]))
    numbers = np.random.default_rng(seed)
    for conversation, length in zip(ids, lengths, strict=True):
        for _ in range(windows):
            tokens = numbers.integers(20, 5000, length).astype(np.int32)
            builder.add(conversation, tokens, np.where(np.arange(length) < 2, -100, tokens).astype(np.int32))
    return builder.finish()


def test_a_share_of_the_conversations_is_drawn_whole_and_stands_behind_the_domains_own() -> None:
    domain, general = arrays(1, [9] * 14 + [5] * 2, 2), arrays(101, [7] * 20, 4, seed=1, windows=2)
    mixture = mix(domain, general, share=0.3, seed=7)
    assert (len(mixture.drawn), mixture.available, mixture.left_out) == (6, 16, 0)
    ours, mixed = mixture.amount(mixed=False), mixture.amount(mixed=True)
    assert (ours.conversations, ours.samples, ours.tokens, ours.trained_tokens) == (14, 14, 126, 98)
    assert (mixed.conversations, mixed.samples, mixed.tokens, mixed.trained_tokens) == (6, 12, 84, 60)
    joined = mixture.arrays
    assert np.array_equal(joined.input_ids[: len(domain.input_ids)], domain.input_ids)
    assert joined.places(Split.VALIDATION).tolist() == domain.places(Split.VALIDATION).tolist()
    assert set(joined.conversation_ids[joined.places(Split.MIXED_VALIDATION)]) == {117, 118, 119, 120}
    assert joined.hash == arrays_hash(joined.input_ids, joined.labels, joined.offsets) != domain.hash
    for place in mixture.places(mixed=True).tolist():
        conversation = joined.conversation_ids[place]
        found = [general.sample(int(at)) for at in np.flatnonzero(general.conversation_ids == conversation)]
        assert any(
            np.array_equal(joined.sample(place)[0], ids) and np.array_equal(joined.sample(place)[1], labels)
            for ids, labels in found
        )


def test_the_same_seed_draws_the_same_and_a_larger_share_only_adds() -> None:
    ids = list(range(500, 540))
    assert draw(ids, 12, 3) == draw(ids[::-1], 12, 3)
    assert set(draw(ids, 12, 3)) < set(draw(ids, 20, 3))
    assert draw(ids, 12, 3) != draw(ids, 12, 4)
    many = Counter(draw(ids, 95, 3))
    assert set(many) == set(ids)
    assert Counter(many.values()) == {2: 25, 3: 15}


def test_what_both_have_is_left_out_by_its_id_and_by_its_tokens() -> None:
    domain = arrays(1, [9, 8, 7, 6], 2)
    same_ids = arrays(3, [11, 12, 13], 0, seed=1)
    mixture = mix(domain, same_ids, share=0.5, seed=0)
    assert set(mixture.drawn) == {5}
    assert (mixture.left_out, mixture.available, len(mixture.drawn)) == (2, 1, 2)
    # The very words of what is held out, under other ids.
    copied = replace(domain, conversation_ids=domain.conversation_ids + 100, split=domain.split * 0)
    with pytest.raises(MaskingError, match="no conversation to train on"):
        mix(domain, copied, share=0.5, seed=0)


def test_other_mask_settings_are_refused() -> None:
    domain = arrays(1, [9, 8])
    other = replace(arrays(11, [9, 8], seed=1), settings=MaskSettings(max_length=100))
    with pytest.raises(MaskingError, match="other settings"):
        mix(domain, other, share=0.5, seed=0)


def test_without_a_second_set_the_first_is_as_it_was() -> None:
    domain = arrays(1, [9, 8, 7], 1)
    alone = unmixed(domain)
    assert alone.arrays is domain
    assert not alone.is_mixed
    assert alone.amount(mixed=False).conversations == 2
    assert alone.amount(mixed=True).samples == 0
