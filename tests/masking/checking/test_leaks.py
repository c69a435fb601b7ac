"""Held-out conversations that are trained on in all but name, told by their tokens."""

import numpy as np
import numpy.typing as npt
import pytest

from app.masking import ArraysBuilder, Leak, MaskArrays, MaskSettings, find_crossings, find_leaks
from app.masking.checking import leaks

Ids = npt.NDArray[np.int32]
RANDOM = np.random.default_rng(7)
# What every conversation begins with.
SYSTEM = RANDOM.integers(0, 50_000, 120).astype(np.int32)


def words(count: int) -> Ids:
    return RANDOM.integers(0, 50_000, count).astype(np.int32)


def built(train: dict[int, list[Ids]], held_out: dict[int, list[Ids]]) -> MaskArrays:
    builder = ArraysBuilder(MaskSettings(), "small", frozenset(held_out))
    for conversation, samples in {**train, **held_out}.items():
        for sample in samples:
            builder.add(conversation, sample, sample)
    return builder.finish()


def with_system(*parts: Ids) -> list[Ids]:
    return [np.concatenate([SYSTEM, *parts])]


def test_a_conversation_with_a_few_words_changed_is_found_with_its_original() -> None:
    train = {number: with_system(words(200)) for number in range(1, 21)}
    near = train[5][0].copy()
    near[[150, 260]] += 1
    held_out = {101: [near], 102: with_system(words(200))}
    (leak,) = find_leaks(built(train, held_out))
    assert (leak.conversation_id, leak.trained_id) == (101, 5)
    assert 0.9 < leak.share < 1


def test_what_all_say_tells_nothing_and_neither_does_half_a_conversation() -> None:
    train = {number: with_system(words(200)) for number in range(1, 21)}
    half = [np.concatenate([train[3][0][:220], words(100)])]
    held_out = {101: with_system(words(200)), 102: [SYSTEM], 103: half, 104: [words(5)]}
    assert find_leaks(built(train, held_out)) == []


def test_a_conversation_cut_into_windows_is_looked_at_as_one() -> None:
    whole = words(300)
    train = {1: [whole[:150], whole[140:]], **{number: [words(300)] for number in range(2, 9)}}
    for held_out in ([whole], [whole[:100], whole[150:]]):
        (leak,) = find_leaks(built(train, {101: held_out}))
        assert leak.trained_id == 1


def test_without_held_out_or_trained_conversations_nothing_leaks() -> None:
    one = {1: [words(100)]}
    assert find_leaks(built(one, {})) == []
    assert find_leaks(built({}, one)) == []


def test_large_versions_are_told_by_a_part_of_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    train = {number: [words(900)] for number in range(1, 13)}
    arrays = built(train, {101: [train[4][0]], 102: [words(900)]})
    whole = find_leaks(arrays)
    for name, value in (("_SAMPLED_FROM", 1000), ("RUN_CHUNK", 1000)):
        monkeypatch.setattr(leaks, name, value)
    assert find_leaks(arrays) == whole == [Leak(101, 4, 1.0)]


def test_across_two_sets_either_ones_held_out_conversations_are_looked_for_in_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whole conversations that are in both are none: mixing leaves them out of the second set."""
    own, other, both = [words(200)], [words(200)], [words(200)]
    near, far = [own[0].copy()], [other[0].copy()]
    near[0][[90, 160]] += 1
    far[0][[90, 160]] += 1
    filling = {number: [words(200)] for number in range(20, 30)}
    domain = built({1: far, **filling}, {2: own, 3: both})
    general = built(
        {11: near, 13: both, **{50 + one: [words(200)] for one in filling}}, {12: other, 14: [words(200)]}
    )
    found = find_crossings(domain, general)
    assert [(one.conversation_id, one.trained_id) for one in found] == [(2, 11), (12, 1)]
    assert find_leaks(domain) == find_leaks(general) == []
    # One of the two is large: both are told by the same part of their runs.
    more = built({11: near, **{50 + one: [words(900)] for one in range(40)}}, {12: other})
    monkeypatch.setattr(leaks, "_SAMPLED_FROM", 10_000)
    assert len(domain.input_ids) < 10_000 < len(more.input_ids)
    assert [one.trained_id for one in find_crossings(domain, more)] == [11, 1]
