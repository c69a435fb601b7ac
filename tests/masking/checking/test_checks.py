"""Each check fails when what it guards is spoiled: a check that cannot fail proves nothing."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from app.masking import CHECK_NAMES, ChatTokenizer, MaskedSample, MaskSettings, mask_conversation, run_checks
from app.masking.samples.sample import Cut
from app.masking.tokenization.encoded import Encoded
from tests.support.masks import ATTACK, chat

CONVERSATION = chat("Hi there", "Hello", "Price?", "Ten a month.", system="Be nice.")


def place_of(sample: MaskedSample, text: str) -> int:
    """The index of the token that holds the first character of `text`."""
    return int(np.searchsorted(sample.encoded.starts, sample.text.index(text), side="right")) - 1


def train(sample: MaskedSample, index: int) -> None:
    sample.labels[index] = sample.full_labels[index] = sample.input_ids[index]


def skip(sample: MaskedSample, index: int) -> None:
    sample.labels[index] = sample.full_labels[index] = -100


def train_a_user_token(sample: MaskedSample) -> None:
    train(sample, place_of(sample, "there"))


def train_a_header(sample: MaskedSample) -> None:
    train(sample, place_of(sample, "Hello") - 1)


def train_a_separator(sample: MaskedSample) -> None:
    train(sample, len(sample.input_ids) - 1)


def skip_an_answer_token(sample: MaskedSample) -> None:
    skip(sample, place_of(sample, "month"))


def skip_an_end_of_turn(sample: MaskedSample) -> None:
    skip(sample, len(sample.input_ids) - 2)


def label_another_token(sample: MaskedSample) -> None:
    sample.labels[place_of(sample, "month")] += 1


def change_an_id(sample: MaskedSample) -> None:
    index = place_of(sample, "nice")
    ids = sample.encoded.ids.copy()
    ids[index] += 1
    sample.encoded = Encoded(ids, sample.encoded.starts, sample.encoded.ends)


def turn_text_into_a_control_token(sample: MaskedSample) -> None:
    index = place_of(sample, "there")
    ids = sample.encoded.ids.copy()
    ids[index] = 2
    sample.encoded = Encoded(ids, sample.encoded.starts, sample.encoded.ends)


def cut_without_a_word(sample: MaskedSample) -> None:
    sample.labels = sample.labels[:-6]
    sample.input_ids = sample.input_ids[:-6]


def report_a_cut_that_is_none(sample: MaskedSample) -> None:
    sample.cuts = [Cut(4, 3, False)]


def exceed_the_limit(sample: MaskedSample) -> None:
    sample.settings = replace(sample.settings, max_length=5)


def train_nothing(sample: MaskedSample) -> None:
    sample.labels[:] = -100


SPOILED: list[tuple[Callable[[MaskedSample], None], str]] = [
    (train_a_user_token, "people_skipped"),
    (train_a_header, "template_skipped"),
    (train_a_separator, "template_skipped"),
    (train_a_user_token, "trained_text"),
    (skip_an_answer_token, "trained_text"),
    (label_another_token, "trained_text"),
    (skip_an_end_of_turn, "end_of_turn"),
    (change_an_id, "model_ids"),
    (turn_text_into_a_control_token, "control_tokens"),
    (cut_without_a_word, "cuts_reported"),
    (report_a_cut_that_is_none, "cuts_reported"),
    (exceed_the_limit, "cuts_reported"),
    (train_nothing, "trains_something"),
]


@pytest.mark.parametrize(("spoil", "name"), SPOILED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_spoiled_sample_fails_its_check(
    smollm2: ChatTokenizer, spoil: Callable[[MaskedSample], None], name: str
) -> None:
    sample = deepcopy(mask_conversation(smollm2, CONVERSATION, MaskSettings()).samples[0])
    before = run_checks(smollm2, sample)
    assert [check.name for check in before] == list(CHECK_NAMES)
    assert all(check.passed for check in before)
    spoil(sample)
    failed = {check.name: check for check in run_checks(smollm2, sample) if not check.passed}
    assert name in failed
    assert "%(" not in failed[name].detail


def test_the_second_encoding_notices_text_that_became_control_tokens(smollm2: ChatTokenizer) -> None:
    """As if neutralising had been forgotten: the whole text encoded in the default way."""
    sample = deepcopy(mask_conversation(smollm2, chat(ATTACK, "Hello"), MaskSettings()).samples[0])
    naive = smollm2.encoder.encode_many([sample.text])[0]
    sample.encoded, sample.input_ids = naive, naive.ids
    sample.labels = sample.full_labels = np.full(len(naive.ids), -100, dtype=np.int32)
    failed = {check.name for check in run_checks(smollm2, sample) if not check.passed}
    assert "control_tokens" in failed


def test_a_failed_check_names_the_token(smollm2: ChatTokenizer) -> None:
    sample = deepcopy(mask_conversation(smollm2, CONVERSATION, MaskSettings()).samples[0])
    train_a_user_token(sample)
    check = next(check for check in run_checks(smollm2, sample) if check.name == "people_skipped")
    assert check.token == place_of(sample, "there")
    assert check.detail == f"Token {check.token} of turn 2 (user) is trained."
