"""The short cut lays conversations out exactly as the long way does."""

import pytest
from hypothesis import given

from app.masking import (
    ChatTokenizer,
)
from app.masking.turns.known_layouts import KnownLayouts
from app.masking.turns.locate import locate
from tests.masking.conversations import PROPERTY, dialogues
from tests.masking.house_templates import HOUSES, House


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_the_short_cut_finds_the_same_layout(house: House, smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(house.source, house.name, trusted=True)
    book = KnownLayouts(tokenizer)

    @PROPERTY
    @given(dialogues(house))
    def holds(messages: list[dict[str, str]]) -> None:
        exact, short = locate(tokenizer, messages), book.lay_out(messages, None).layout
        assert short.turns == exact.turns
        assert short.regions == exact.regions
        assert short.unlocated == exact.unlocated

    holds()
