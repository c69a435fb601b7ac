"""Whole turns are kept where the length allows it, and every cut is reported."""

import pytest

from app.masking import (
    ChatTokenizer,
    MaskSettings,
    mask_conversation,
    run_checks,
)
from tests.support.masks import LONG, chat, samples, trained_text


@pytest.mark.parametrize("limit", range(10, 130, 7))
def test_truncation_keeps_whole_turns_and_reports_every_cut(smollm2: ChatTokenizer, limit: int) -> None:
    whole = samples(smollm2, LONG)[0]
    masked = mask_conversation(smollm2, LONG, MaskSettings(max_length=limit))
    for sample in masked.samples:
        assert len(sample.input_ids) <= limit
        assert sample.input_ids.tolist() == whole.input_ids.tolist()[: len(sample.input_ids)]
        lost = whole.trained - sample.trained
        assert sum(cut.trained for cut in sample.cuts) == lost
        assert sample.truncated == len(whole.input_ids) - len(sample.input_ids)
        checks = {check.name: check for check in run_checks(smollm2, sample)}
        assert all(check.passed for check in checks.values())
        half = [cut for cut in sample.cuts if cut.half and cut.trained]
        text = trained_text(smollm2, sample)
        assert text.endswith("<|im_end|>") or half
        if sample.truncated:
            assert str(len(sample.input_ids)) in checks["cuts_reported"].detail
    if not masked.samples:
        assert masked.dropped == 1
        assert masked.untrained[0].truncated


def test_an_exchange_longer_than_the_window_is_cut_and_reported(smollm2: ChatTokenizer) -> None:
    conversation = chat("short", "fine", "long?", "word " * 80)
    found = samples(smollm2, conversation, handling="sliding_window", max_length=60)
    assert [bool(sample.cuts) for sample in found] == [False, True]
    assert found[1].cuts[0].half
    assert found[1].cuts[0].turn == 3
