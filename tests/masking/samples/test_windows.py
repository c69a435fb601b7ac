"""Several samples of one conversation: one a turn, or windows of whole exchanges."""

import pytest

from app.masking import (
    ChatTokenizer,
    Handling,
    MaskSettings,
    mask_conversation,
)
from tests.support.masks import LONG, chat, samples, trained_text


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
