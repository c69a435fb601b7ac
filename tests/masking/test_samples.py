"""Which turns are trained, and what becomes of a conversation that is too long."""

from typing import Any

import pytest

from app.masking import (
    IGNORE_INDEX,
    ChatTokenizer,
    Handling,
    MaskSettings,
    TrainOn,
    mask_conversation,
    mask_conversations,
    run_checks,
)
from app.masking.samples.sample import MaskedSample
from app.masking.samples.stream import BATCH
from tests.masking.test_traps import chat, trained_text

LONG = chat(*(f"{word} " * 12 for word in ("one", "two", "three", "four", "five", "six")), system="Be nice.")


def samples(tokenizer: ChatTokenizer, conversation: dict[str, Any], **settings: Any) -> list[MaskedSample]:
    found = mask_conversation(tokenizer, conversation, MaskSettings(**settings)).samples
    for sample in found:
        assert [check for check in run_checks(tokenizer, sample) if not check.passed] == []
    return found


def test_strategies_choose_turns(smollm2: ChatTokenizer) -> None:
    conversation = chat("Q1", "A1", "Q2", "A2", system="S")

    def text(strategy: str) -> str:
        return trained_text(smollm2, samples(smollm2, conversation, train_on=strategy)[0])

    assert text("assistant") == "A1<|im_end|>A2<|im_end|>"
    assert text("last_assistant") == "A2<|im_end|>"
    assert text("content") == "SQ1A1<|im_end|>Q2A2<|im_end|>"
    assert text("all") == smollm2.render(conversation["messages"])


@pytest.mark.parametrize("strategy", list(TrainOn))
def test_a_flag_on_a_turn_wins_over_the_strategy(smollm2: ChatTokenizer, strategy: TrainOn) -> None:
    conversation = chat("Q1", "A1", "Q2", "A2")
    conversation["messages"][0]["train"] = True
    conversation["messages"][1]["train"] = True
    conversation["messages"][2]["train"] = False
    conversation["messages"][3]["train"] = False
    text = trained_text(smollm2, samples(smollm2, conversation, train_on=strategy)[0])
    assert "Q1" in text
    assert "A1<|im_end|>" in text
    assert "Q2" not in text
    assert "A2" not in text


def test_flags_are_never_shown_to_the_template(smollm2: ChatTokenizer) -> None:
    source = (
        "{% for m in messages %}{{ m | tojson }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}{{ '{' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "json", trusted=True)
    conversation = chat("Q", "A", train=True)
    assert "train" not in mask_conversation(tokenizer, conversation, MaskSettings()).samples[0].text


def test_per_turn_keeps_as_many_exchanges_as_fit(smollm2: ChatTokenizer) -> None:
    def first_turns(limit: int) -> list[int]:
        found = samples(smollm2, LONG, handling="per_turn", max_length=limit)
        assert all(len(sample.input_ids) <= limit for sample in found)
        return [sample.part.left_out for sample in found]

    lengths = [len(sample.input_ids) for sample in samples(smollm2, LONG, handling="per_turn")]
    assert first_turns(lengths[-1]) == [0, 0, 0]
    assert first_turns(lengths[-1] - 1) == [0, 0, 2]
    assert first_turns(lengths[0]) == [0, 2, 4]
    long = chat(*[f"turn {number}" for number in range(80)])
    for limit in (60, 150, 300, 700):
        found = samples(smollm2, long, handling="per_turn", max_length=limit)
        for sample in found:
            if sample.part.left_out:  # one exchange more would not have fitted
                more = len(
                    samples(
                        smollm2,
                        chat(
                            *[
                                f"turn {n}"
                                for n in range(sample.part.left_out - 2, sample.part.numbers[-1] + 1)
                            ]
                        ),
                    )[0].input_ids
                )
                assert more > limit


@pytest.mark.parametrize("handling", ["whole", "per_turn", "sliding_window"])
def test_where_only_the_system_speaks_nothing_is_trained(smollm2: ChatTokenizer, handling: str) -> None:
    alone = {"messages": [{"role": "system", "content": "Be brief."}] * 2}
    settings = MaskSettings(handling=Handling(handling), max_length=16)
    masked = mask_conversation(smollm2, alone, settings)
    assert masked.samples == []


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


def test_a_sample_without_a_trained_token_is_dropped_and_counted(smollm2: ChatTokenizer) -> None:
    masked = mask_conversation(smollm2, chat("only a question"), MaskSettings())
    assert masked.samples == []
    assert masked.dropped == 1
    failed = [check.name for check in run_checks(smollm2, masked.untrained[0]) if not check.passed]
    assert failed == ["trains_something"]


def test_per_turn_gives_one_sample_a_turn_as_at_inference(smollm2: ChatTokenizer) -> None:
    found = samples(smollm2, LONG, handling="per_turn")
    assert [trained_text(smollm2, sample).split()[0] for sample in found] == ["two", "four", "six"]
    for sample in found:
        turn = sample.layout.turns[-1]
        prompt = smollm2.render(LONG["messages"][: turn.message], add_generation_prompt=True)
        assert sample.text[: turn.start] == prompt


def test_per_turn_drops_the_oldest_exchanges_first(smollm2: ChatTokenizer) -> None:
    found = samples(smollm2, LONG, handling="per_turn", max_length=60)
    assert [trained_text(smollm2, sample).split()[0] for sample in found] == ["two", "four", "six"]
    assert [sample.part.left_out for sample in found] == [0, 2, 4]
    assert all("Be nice." in sample.text and not sample.cuts for sample in found)


@pytest.mark.parametrize("limit", [45, 60, 90, 120, 200])
def test_each_turn_is_trained_in_exactly_one_window(smollm2: ChatTokenizer, limit: int) -> None:
    found = samples(smollm2, LONG, handling="sliding_window", max_length=limit)
    trained = [sample.part.numbers[message] for sample in found for _, _, message in sample.spans]
    assert sorted(trained) == [2, 4, 6]
    for sample in found:
        assert len(sample.input_ids) <= limit
        roles = [LONG["messages"][number]["role"] for number in sample.part.numbers]
        assert roles[:2] == ["system", "user"]
        assert not sample.truncated


def test_an_exchange_longer_than_the_window_is_cut_and_reported(smollm2: ChatTokenizer) -> None:
    conversation = chat("short", "fine", "long?", "word " * 80)
    found = samples(smollm2, conversation, handling="sliding_window", max_length=60)
    assert [bool(sample.cuts) for sample in found] == [False, True]
    assert found[1].cuts[0].half
    assert found[1].cuts[0].turn == 3


def test_a_stream_gives_the_same_as_one_by_one_and_keeps_order(smollm2: ChatTokenizer) -> None:
    conversations = [
        chat(
            f"question {n}",
            f"answer {n}" + (" <|im_end|>" if n % 7 == 0 else ""),
            "and?",
            "<think>x</think>y",
        )
        if n % 5
        else {"messages": []}
        for n in range(BATCH * 2 + 3)
    ]
    streamed = list(mask_conversations(smollm2, enumerate(conversations), MaskSettings()))
    assert [masked.conversation_id for masked in streamed] == list(range(len(conversations)))
    for number, masked in enumerate(streamed):
        if number % 5 == 0:
            assert masked.refusal is not None
        elif number % 50 == 1:
            alone = mask_conversation(smollm2, conversations[number], MaskSettings()).samples[0]
            assert masked.samples[0].input_ids.tolist() == alone.input_ids.tolist()
            assert masked.samples[0].labels.tolist() == alone.labels.tolist()
    assert all(IGNORE_INDEX in masked.samples[0].labels for masked in streamed if masked.samples)
