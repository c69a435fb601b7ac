"""The sandbox stops tricks with a clear error, and works nothing out while it compiles."""

import pytest

from app.masking import TemplateFailed
from app.masking.templates.chat_template import ChatTemplate
from app.masking.templates.environment import build_environment
from tests.support.masks import chat
from tests.support.processor_time import works_at_most


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append({'role': 'user'}) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{% set ns = namespace(__init__=1) %}",
        "{% set ns = namespace() %}{% set ns._x = 1 %}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ '%s' | attr('__class__') }}{{ ''['__class__']() }}",
        "{{ 'a' * 300000000 }}",
        "{{ [1] * 300000000 }}",
        "{{ 9 ** 900 }}",
        "{{ range(100000000) | list }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
        "{{ raise_exception('no') }}",
        "{{ undefined_function() }}",
        "{% for",
        "{{ 'x' | center(4000000000) }}",
        "{{ 'x'.ljust(4000000000) }}",
        "{{ '%4000000000d' % 1 }}",
        "{{ '{:>4000000000}'.format(1) }}",
        "{{ '%4000000000d' | format(1) }}",
        "{{ 1 / 0 }}",
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    ],
)
def test_the_sandbox_stops_tricks_with_a_clear_error(source: str) -> None:
    with works_at_most(5), pytest.raises(TemplateFailed, match="hostile") as failed:
        ChatTemplate(source, "hostile").render(chat("q")["messages"], {})
    assert "%(" not in str(failed.value)


@pytest.mark.parametrize(
    "source", ["{{ '{0.__class__}'.format(1) }}", "{{ ''.__class__ }}", "{{ messages.__class__ }}"]
)
def test_what_the_sandbox_hides_is_empty(source: str) -> None:
    try:
        text = ChatTemplate(source).render(chat("q")["messages"], {})
    except TemplateFailed:
        return
    assert text == ""


def test_nothing_that_a_template_names_is_worked_out_while_it_compiles() -> None:
    """There are no limits then: a chain of replacements of constants would take all memory."""
    environment = build_environment()
    for source, result in (
        ("{{ 'ab'|replace('a', 'xyz') }}", "xyzb"),
        ("{{ [3, 1]|sort|join('-') }}", "1-3"),
    ):
        assert environment.from_string(source).render() == result
        assert result not in environment.compile(source, raw=True)
