"""The sandbox means what transformers means, and hostile templates do no harm."""

import time
from pathlib import Path
from typing import Any

import pytest

from app.masking import ChatTokenizer, MaskingError, MaskSettings, TemplateFailed, mask_conversation
from app.masking.templates import isolated
from app.masking.templates.chat_template import ChatTemplate
from app.masking.templates.environment import build_environment
from tests.masking.test_traps import chat

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
    began = time.monotonic()
    with pytest.raises(TemplateFailed, match="hostile") as failed:
        ChatTemplate(source, "hostile").render(chat("q")["messages"], {})
    assert "%(" not in str(failed.value)
    assert time.monotonic() - began < 5


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


@pytest.mark.parametrize("source", ["{{ 1" + "+1" * 40_000 + " }}", "{{ x" + ".a" * 40_000 + " }}"])
def test_a_template_nested_beyond_measure_is_refused_by_all_that_read_it(source: str) -> None:
    for name in ("compiled", "reads", "reads_the_clock"):
        with pytest.raises(TemplateFailed, match="deep does not compile"):
            getattr(ChatTemplate(source, "deep"), name)


BOMBS = {
    "constants": "{{ 'a'" + "|replace('a', 'aaaaaaaaaa')" * 11 + " }}",
    "nested loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{%"
    " endfor %}{% endfor %}"
    "{% endfor %}",
    "doubling": "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ "
    "ns.x %}{% endfor %}",
    "wide padding": "{{ 'x' | center(4000000000) }}",
    "wide format": "{{ '%4000000000d' | format(1) }}",
    "a long text": "{% for a in range(9999) %}{% for b in range(99) %}{{ 'abcdefghij' }}{% endfor "
    "%}{% endfor %}",
    "only in long conversations": "{% if messages | length > 20 %}{% for a in range(9999) %}{% for b "
    "in range(9999) %}"
    "{% for c in range(99) %}{% endfor %}{% endfor %}{% endfor %}{% endif %}",
    "only with tools": "{% if tools %}{{ 'x' | center(4000000000) }}{% endif %}",
    "sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_goes_off_in_the_child_not_here(name: str, smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(BOMBS[name], name)
    conversation = {**chat(*"qa" * 12), "tools": [{"type": "function", "function": {"name": "f"}}]}
    began = time.monotonic()
    with pytest.raises(MaskingError, match=name):
        mask_conversation(tokenizer, conversation, MaskSettings())
    assert time.monotonic() - began < isolated.STARTUP_SECONDS


def test_a_bomb_for_this_very_conversation_is_refused_when_it_goes_off(smollm2: ChatTokenizer) -> None:
    source = "{% if 'secret word' in messages[0].content %}{{ 'x' | center(4000000000) }}{% endif %}"
    with pytest.raises(TemplateFailed, match="picky did something the sandbox forbids"):
        mask_conversation(
            smollm2.with_chat_template(source, "picky"), chat("secret word", "a"), MaskSettings()
        )


def test_the_child_leaves_no_process(smollm2: ChatTokenizer) -> None:
    import psutil

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    tokenizer = smollm2.with_chat_template(BOMBS["nested loops"] + "{# again #}", "loops")
    with pytest.raises(MaskingError):
        mask_conversation(tokenizer, chat("q", "a"), MaskSettings())
    isolated.close_renderers()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_folders_hold_templates_in_several_ways(smollm2_folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    config = json.loads((smollm2_folder / "tokenizer_config.json").read_text())
    shutil.copy(smollm2_folder / "tokenizer.json", tmp_path)
    write = (tmp_path / "tokenizer_config.json").write_text

    write(json.dumps({**config, "chat_template": "one {{ messages | length }}"}))
    assert ChatTokenizer.from_folder(tmp_path, trusted=True).render([]) == "one 0"
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with tools"}]
    write(json.dumps({**config, "chat_template": named}))
    tokenizer = ChatTokenizer.from_folder(tmp_path, trusted=True)
    assert tokenizer.render([]) == "plain"
    assert tokenizer.render([], tools=[{"type": "function"}]) == "with tools"
    (tmp_path / "chat_template.jinja").write_text("the file wins")
    assert ChatTokenizer.from_folder(tmp_path, trusted=True).render([]) == "the file wins"
    pasted = ChatTokenizer.from_folder(tmp_path, chat_template="pasted", trusted=True)
    assert pasted.render([]) == "pasted"


def test_special_tokens_only_the_config_names_are_added(smollm2_folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    config = json.loads((smollm2_folder / "tokenizer_config.json").read_text())
    shutil.copytree(smollm2_folder, tmp_path / "model")
    extra = {"__type": "AddedToken", "content": "<|eot|>", "lstrip": False, "rstrip": False, "special": True}
    config |= {"eos_token": extra, "extra_special_tokens": ["<|aside|>"]}
    (tmp_path / "model" / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = ChatTokenizer.from_folder(tmp_path / "model", trusted=True)
    assert tokenizer.eos_token == "<|eot|>"
    assert {"<|eot|>", "<|aside|>"} <= tokenizer.special_tokens

    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "a<|eot|>b<|aside|>c"
    assert tokenizer.encoder.encode_many([text])[0].ids.tolist() == theirs.encode(
        text, add_special_tokens=False
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "There is no"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be read"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("[]"), "no JSON object"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
    ],
)
def test_a_folder_that_cannot_be_used_says_which_file(
    smollm2_folder: Path, tmp_path: Path, spoil: Any, words: str
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(smollm2_folder, folder)
    spoil(folder)
    with pytest.raises(MaskingError, match=words):
        ChatTokenizer.from_folder(folder)
