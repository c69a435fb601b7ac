"""What statements write, and what they make names hold."""

import pytest

from app.masking.independence.facts import Facts, Kind, NotProven
from app.masking.independence.statements import StatementWalker
from tests.masking.independence.reading import parsed


def walked(source: str) -> tuple[Kind, Facts]:
    """After two walks: the second one sees what the first learnt."""
    tree = parsed(source)
    facts = Facts(tree)
    walker = StatementWalker(facts)
    walker.written_by(tree.body)
    return walker.written_by(tree.body), facts


def test_a_loop_over_messages_writes_their_text() -> None:
    written, facts = walked("{% for m in messages %}{% set c = m.content | trim %}<{{ c }}>{% endfor %}")
    assert written is Kind.TEXT
    assert (facts.kind_of("m"), facts.kind_of("c")) == (Kind.CARRIER, Kind.TEXT)


def test_a_namespace_and_a_macro_hold_what_they_are_given() -> None:
    source = (
        "{% macro show(x) %}{{ x }}{% endmacro %}{% set ns = namespace(last='') %}"
        "{% for m in messages %}{% set ns.last = m.content %}{{ show(m.content) }}{% endfor %}"
    )
    written, facts = walked(source)
    assert written is Kind.TEXT
    assert (facts.kind_of("ns.last"), facts.macro_kinds["show"]) == (Kind.TEXT, Kind.TEXT)


def test_a_branch_that_no_ordinary_message_reaches_is_left_out() -> None:
    written, _ = walked("{% if messages[0].tool_calls %}{{ messages[0].content[0] }}{% else %}-{% endif %}")
    assert written is Kind.CLEAN


def test_where_content_is_no_string_it_may_be_taken_apart() -> None:
    source = (
        "{% for m in messages %}{% set c = m.content %}{% if c is string %}{{ c }}{% else %}"
        "{% for part in c %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}"
    )
    assert walked(source)[0] is Kind.TEXT


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% for c in messages[0].content %}{% endfor %}", "the characters of a text"),
        ("{% for a, b in messages %}{% endfor %}", "takes messages apart"),
        ("{{ messages }}", "writes whole messages"),
        ("{% filter upper %}{{ messages[0].content }}{% endfilter %}", "FilterBlock"),
        ("{% set x | trim %}{{ messages[0].content }}{% endset %}", "a filtered block"),
    ],
)
def test_statements_that_take_texts_apart_are_not_proven(source: str, why: str) -> None:
    with pytest.raises(NotProven, match=why):
        walked(source)
