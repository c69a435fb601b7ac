"""For every token of a sample: who wrote it, and in which message of the conversation."""

import numpy as np

from app.masking import ChatTokenizer, Handling, MaskSettings, mask_conversation
from app.masking.samples.sample import ROLE_NAMES
from tests.support.masks import chat


def test_every_token_has_a_writer_and_a_place_in_the_conversation(smollm2: ChatTokenizer) -> None:
    sample = mask_conversation(smollm2, chat("Hi", "Hello", system="Be nice."), MaskSettings()).samples[0]
    roles, turns = sample.roles_and_turns()
    said = {
        (ROLE_NAMES[role], turn): smollm2.encoder.tokenizer.decode(
            sample.input_ids[(roles == role) & (turns == turn)].tolist(), skip_special_tokens=False
        )
        for role, turn in {*zip(roles.tolist(), turns.tolist(), strict=True)}
    }
    template = said.pop(("template", -1))
    assert said == {("system", 0): "Be nice.", ("user", 1): "Hi", ("assistant", 2): "Hello<|im_end|>"}
    assert template.count("<|im_start|>") == 3


def test_messages_of_a_later_sample_keep_their_places(smollm2: ChatTokenizer) -> None:
    conversation = chat("word " * 30, "one", "Price?", "Ten.")
    settings = MaskSettings(handling=Handling.PER_TURN, max_length=40)
    last = mask_conversation(smollm2, conversation, settings).samples[-1]
    assert last.part.left_out == 2
    assert set(last.roles_and_turns()[1].tolist()) == {-1, 2, 3}


def test_tokens_of_a_range_are_the_same_looked_up_at_once_or_alone(smollm2: ChatTokenizer) -> None:
    sample = mask_conversation(smollm2, chat("Hi 你", "Hello 龘"), MaskSettings()).samples[0]
    for turn in sample.layout.turns:
        assert sample.tokens_of(turn.start, turn.end) == sample.encoded.tokens_of(turn.start, turn.end)
    cut = mask_conversation(smollm2, chat("Hi", "word " * 60), MaskSettings(max_length=50)).samples[0]
    assert (len(cut.input_ids), cut.truncated) == (50, len(cut.encoded.ids) - 50)
    assert cut.trained == int(np.count_nonzero(cut.labels != -100))
