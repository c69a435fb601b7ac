"""A stream of conversations: in order, in batches, each as if it were alone."""

from app.masking import (
    IGNORE_INDEX,
    ChatTokenizer,
    MaskSettings,
    mask_conversation,
    mask_conversations,
)
from app.masking.samples.stream import BATCH, BATCH_CHARACTERS, in_batches
from tests.support.masks import chat


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


def test_long_conversations_make_small_batches() -> None:
    def lengths(sizes: list[int]) -> list[int]:
        return [len(batch) for batch in in_batches(sizes, int)]

    assert lengths([1] * (BATCH + 3)) == [BATCH, 3]
    assert lengths([BATCH_CHARACTERS] * 3) == [1, 1, 1]
    assert lengths([BATCH_CHARACTERS // 2] * 5) == [2, 2, 1]
    assert lengths([]) == []
