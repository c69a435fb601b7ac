"""For which texts a template is proven to write the same structure."""

import pytest

from app.masking.independence.proof import prove_independence

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
)


def test_a_template_that_only_writes_texts_treats_all_of_them_alike() -> None:
    independence = prove_independence(CHATML)
    assert independence is not None
    assert independence.watch_words == ()
    assert all(map(independence.is_ordinary, ("a", " a ", "null", "<|im_end|>")))
    assert not any(map(independence.is_ordinary, ("", " \n")))


def test_a_text_that_touches_what_the_template_looks_for_is_not_ordinary() -> None:
    source = "{% if '</think>' in messages[0].content %}thinks{% endif %}" + CHATML
    independence = prove_independence(source)
    assert independence is not None
    assert independence.watch_words == ("</think>",)
    assert independence.is_ordinary("thinking")
    for text in ("a</think>b", "think", "</think>"):  # holds it, or is a piece of it
        assert not independence.is_ordinary(text), text


def test_a_text_that_would_complete_a_watched_word_with_the_template_is_not_ordinary() -> None:
    source = "{% set ns = namespace(x='') %}{% set ns.x = 'go ' ~ messages[0].content %}{% if 'go on' in ns.x %}!{% endif %}"
    independence = prove_independence(source)
    assert independence is not None
    assert not independence.is_ordinary("on and on")
    assert independence.is_ordinary("and on")


def test_texts_that_are_compared_with_each_other_must_differ() -> None:
    independence = prove_independence(CHATML + "{{ messages[0].content == messages[1].content }}")
    assert independence is not None
    assert independence.needs_distinct_texts


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content | upper }}",
        "{% for",
        "{{ messages | tojson }}",
        "{% if 'x' in messages[0].content %}{{ messages[0].content + messages[1].content }}{% endif %}",
        "{{ 1" + "+1" * 40_000 + " }}",
    ],
    ids=["changes text", "broken", "writes messages", "joins what it searches", "deep"],
)
def test_where_the_proof_does_not_go_through_there_is_none(source: str) -> None:
    assert prove_independence(source) is None
