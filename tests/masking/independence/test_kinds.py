"""What expressions may hold: nothing of the messages, text, pieces of text, or messages."""

import pytest

from app.masking.independence.facts import Kind, NotProven
from app.masking.independence.kinds import ExpressionKinds
from tests.masking.independence.reading import expression


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("'fixed' ~ bos_token", Kind.CLEAN),
        ("messages", Kind.CARRIER),
        ("messages[1:]", Kind.CARRIER),
        ("messages | selectattr('role', 'equalto', 'user') | list", Kind.CARRIER),
        ("messages | length", Kind.CLEAN),
        ("messages[0].role", Kind.CLEAN),
        ("messages[0]['content']", Kind.TEXT),
        ("messages[0].get('content')", Kind.TEXT),
        ("messages[0].content | trim", Kind.TEXT),
        ("messages[0].content.strip()", Kind.TEXT),
        ("'<' + messages[0].content + '>'", Kind.TEXT),
        ("messages[0].content if messages[0].role == 'user' else ''", Kind.TEXT),
        ("messages[0].content.split('</think>')", Kind.PIECES),
        ("messages[0].content.split('</think>')[-1]", Kind.TEXT),
    ],
)
def test_what_an_expression_holds(text: str, kind: Kind) -> None:
    facts, node = expression(text)
    assert ExpressionKinds(facts).of(node) is kind


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("messages[0].content[0]", "a character of a text"),
        ("messages[0].content[:9]", "cuts a text"),
        ("messages[0].content | upper", "the filter upper"),
        ("messages[0].content.replace('a', 'b')", "the method replace"),
        ("messages[0].content.strip('x')", "trims more than white space"),
        ("messages[0].content.split('a')[1]", "a middle piece"),
        ("messages ~ 'x'", "joins whole messages"),
        ("{'a': 'b'}[messages[0].content]", "looks something up by a text"),
        ("'x' | replace('x', messages[0].content)", "gives a text to the filter"),
        ("range(messages[0].content)", "gives a text to a function"),
    ],
)
def test_what_depends_on_a_text_is_not_proven(text: str, why: str) -> None:
    facts, node = expression(text)
    with pytest.raises(NotProven, match=why):
        ExpressionKinds(facts).of(node)


def test_texts_that_stand_side_by_side_are_noticed() -> None:
    for text, joins in (
        ("messages[0].content ~ messages[1].content", True),
        ("'a' ~ messages[0].content", False),
    ):
        facts, node = expression(text)
        ExpressionKinds(facts).of(node)
        assert facts.joins_texts is joins
