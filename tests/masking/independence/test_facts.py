"""What is known of names only grows, and never becomes two things at once."""

import pytest

from app.masking.independence.facts import Facts, Kind, NotProven
from tests.masking.independence.reading import expression, parsed


def test_a_name_holds_the_most_it_was_ever_given() -> None:
    facts = Facts(parsed(""))
    facts.changed = False
    facts.raise_kind("text", Kind.CLEAN)
    assert (facts.kind_of("text"), facts.changed) == (Kind.CLEAN, False)
    facts.raise_kind("text", Kind.TEXT)
    assert (facts.kind_of("text"), facts.changed) == (Kind.TEXT, True)
    facts.changed = False
    facts.raise_kind("text", Kind.CLEAN)
    assert (facts.kind_of("text"), facts.changed) == (Kind.TEXT, False)


def test_a_name_that_holds_texts_and_messages_is_not_proven() -> None:
    facts = Facts(parsed(""))
    facts.raise_kind("one", Kind.TEXT)
    with pytest.raises(NotProven, match="one holds different things"):
        facts.raise_kind("one", Kind.CARRIER)


def test_behind_a_test_of_its_type_a_name_holds_no_text_and_must_not_become_one() -> None:
    facts = Facts(parsed(""))
    facts.raise_kind("content", Kind.TEXT)
    facts.not_text_here.append("content")
    assert facts.kind_of("content") is Kind.CLEAN
    with pytest.raises(NotProven, match="becomes text where it was not"):
        facts.raise_kind("content", Kind.TEXT)


def test_what_is_searched_for_is_kept_and_must_be_fixed() -> None:
    facts, words = expression("['a', ('b', none)]")
    facts.watch(words)
    assert facts.words == {"a", "b"}
    _, name = expression("name")
    with pytest.raises(NotProven, match="not fixed"):
        facts.watch(name)
