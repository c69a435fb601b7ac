"""Tests whose outcome is the same for every ordinary text."""

import pytest

from app.masking.independence.facts import NotProven
from app.masking.independence.kinds import ExpressionKinds
from tests.masking.independence.reading import expression


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        ("messages[0].content is string", True, set()),
        ("messages[0].content is none", False, set()),
        ("not messages[0].content is string", False, set()),
        ("messages[0].tool_calls", False, set()),
        ("messages[0].tool_calls and messages[0].content == 'x'", False, set()),
        ("messages[0].role == 'tool'", False, set()),
        ("messages[0].role == 'user'", None, set()),
        ("'tool_calls' in messages[0]", False, set()),
        ("'content' in messages[0]", None, set()),
        ("messages[0].content", None, set()),
        ("messages[0].content | length > 0", None, set()),
        ("'</think>' in messages[0].content", None, {"</think>"}),
        ("messages[0].content.startswith(('<a>', '<b>'))", None, {"<a>", "<b>"}),
        ("messages[0].content == 'null'", None, {"null"}),
        ("add_generation_prompt", None, set()),
    ],
)
def test_the_outcome_for_every_ordinary_text(text: str, outcome: bool | None, words: set[str]) -> None:
    facts, node = expression(text)
    assert ExpressionKinds(facts).outcomes.of(node) is outcome
    assert facts.words == words


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("messages[0].content | length > 5", "compares the length"),
        ("messages[0].content < 'b'", "compares texts by lt"),
        ("messages[0] == messages[1]", "compares whole messages"),
        ("bos_token in messages[0].content", "not fixed"),
        ("messages[0].content.split('a')", "tests pieces"),
    ],
)
def test_a_test_that_a_text_decides_is_not_proven(text: str, why: str) -> None:
    facts, node = expression(text)
    with pytest.raises(NotProven, match=why):
        ExpressionKinds(facts).outcomes.of(node)


def test_two_texts_that_are_compared_must_be_distinct() -> None:
    facts, node = expression("messages[0].content == messages[1].content")
    assert ExpressionKinds(facts).outcomes.of(node) is None
    assert facts.compares_texts
