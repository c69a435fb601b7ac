"""A template means what transformers means, and where it fails it says so in its own words."""

import pytest

from app.masking import TemplateFailed
from app.masking.templates.chat_template import ChatTemplate
from tests.support.masks import chat

MESSAGES = [
    {"role": "user", "content": "<a> & 'b' 你"},
    {"role": "assistant", "content": "x", "tags": ["p", "q"]},
    {"role": "user", "content": "{{ bos_token }}"},
]


MEANINGS = [
    "{% for m in messages %}\n  {% if loop.first %}\n    first\n  {% endif %}\n  {{ m.content }}\n{% "
    "endfor %}",
    "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ messages[0] | tojson(ensure_ascii=True) }}",
    "{{ messages | tojson(separators=(',', ':'), sort_keys=True) }}",
    "{% for m in messages %}{% if m.role == 'assistant' %}{% continue %}{% endif %}{{ m.content }}{% "
    "break %}{% endfor %}",
    "{% set ns = namespace(a=1, b='x') %}{% set ns.a = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ "
    "dict(a=1).items() | list }}",
    "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "{{ messages[1].get('tags') | join('-') }}{{ messages[0]['content'][:3] }}{{ messages[5] is "
    "defined }}{{ nothing }}",
    "{{ bos_token }}{{ eos_token }}{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ pad_token "
    "}}{{ sep_token }}",
    "{% for m in messages %}{{ loop.index0 }}{{ loop.last }}{{ loop.length }}{{ loop.previtem is "
    "defined }}{% endfor %}",
    "{% macro f(x) %}[{{ x | trim | upper }}]{% endmacro %}{{ f(messages[1].content) }}{{ f(' y ') }}",
    "{{ strftime_now('%Y') | length }}{{ messages[0].items() | list }}{{ messages[0].keys() | list }}",
    "{{ messages[0].content | e }}{{ messages[0].content | length }}{{ '%s-%s' | format(1, 'a') }}{{ "
    "'a' * 3 }}{{ 2 ** 8 }}",
]


@pytest.mark.parametrize("source", MEANINGS)
def test_a_template_means_what_transformers_means(source: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    variables = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    theirs, _ = render_jinja_template([MESSAGES], chat_template=source, **variables)
    assert ChatTemplate(source).render(MESSAGES, variables) == theirs[0]


def test_generation_blocks_lie_where_transformers_puts_them() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    source = (
        "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}{{ m.content }}!"
        "{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
    )
    messages = chat("q", "a", "q", "b")["messages"]
    theirs, blocks = render_jinja_template(
        [messages], chat_template=source, return_assistant_tokens_mask=True
    )
    assert ChatTemplate(source).render_with_generation_blocks(messages, {}) == (theirs[0], blocks[0])


@pytest.mark.parametrize("source", ["{{ 1" + "+1" * 40_000 + " }}", "{{ x" + ".a" * 40_000 + " }}"])
def test_a_template_nested_beyond_measure_is_refused_by_all_that_read_it(source: str) -> None:
    for name in ("compiled", "reads", "reads_the_clock"):
        with pytest.raises(TemplateFailed, match="deep does not compile"):
            getattr(ChatTemplate(source, "deep"), name)
