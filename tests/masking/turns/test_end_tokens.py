"""Which token ends a turn: each rule with a template that needs it."""

from typing import Any

import pytest

from app.masking import ChatTokenizer, locate
from tests.masking.turns.pieces import CALL, CALLING, CALLS, END, EOS, LOOP, PLAIN, PROMPT, SHORT

CALL_TEXT = '<call>price{"of": "a"}</call>'
SPELLING = [
    CALLING[0],
    {**CALL, "tool_calls": [{"type": "function", "function": {"name": "price", "arguments": {"of": EOS}}}]},
    *CALLING[2:],
]
NEXT = "{'user': 'assistant', 'assistant': 'user'}[m.role]"

# rule -> template, tokens that generation stops at besides <|im_end|>, conversation, ends of turns (None: none)
RULES: dict[str, tuple[str, list[str], list[dict[str, Any]], list[str | None]]] = {
    "the first token that generation stops at, not the last": (
        LOOP
        + "{{ '<file_sep>' + m.role + ':\n' + m.content }}"
        + "{{ '<gh_stars>' if loop.last and not add_generation_prompt else '[|end|]' }}"
        + END
        + "{% if add_generation_prompt %}{{ '<file_sep>assistant:\n' }}{% endif %}{{ eos_token }}",
        ["<gh_stars>"],
        PLAIN,
        [None, "<gh_stars>"],
    ),
    "a token that opens the rendering ends nothing": (
        "<|endoftext|>"
        + LOOP
        + "{{ '<role>' + m.role + '<file_sep>' + m.content + '<end> \n' }}"
        + END
        + "<role>assistant<file_sep>",
        [],
        SHORT,
        ["<end>"],
    ),
    "what looks like a control token, where this vocabulary knows none": (
        LOOP
        + "{{ '# ' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '\n<end>\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n<think>\n' }}{% endif %}",
        [],
        CALLING,
        ["<end>", "<end>"],
    ),
    "what cannot be seen to be a marker, right after one": (
        LOOP
        + "{{ '[|' + m.role + '|]\n' + m.content }}"
        + CALLS
        + "{{ '[|end|]\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '[|assistant|]\n' }}{% endif %}",
        [],
        CALLING,
        ["[|end|]", "[|end|]"],
    ),
    "words, where nothing looks like a marker": (
        LOOP
        + "{{ '# ' + m.role + ':\n' + m.content + ' END\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant:\n' }}{% endif %}",
        [],
        PLAIN,
        ["END", "END"],
    ),
    "the token that opens the next turn, where generation stops there": (
        LOOP
        + "{{ '<repo_name>' if m.role == 'user' else '<file_sep>' }}{{ m.content }}"
        + END
        + "{% if add_generation_prompt %}<file_sep>{% endif %}",
        ["<repo_name>"],
        PLAIN,
        ["<repo_name>", None],
    ),
    "behind a call the only token that generation stops at": (
        "<|im_start|>"
        + LOOP
        + "{{ '<file_sep>' if m.role == 'assistant' else '<repo_name>' }}{{ m.content }}"
        + CALLS
        + "{{ '\n' }}"
        + END
        + "{{ '<file_sep>\n' }}",
        ["<repo_name>"],
        CALLING,
        ["<repo_name>", None],
    ),
    "two tokens that generation stops at do not tell which": (
        LOOP
        + "{% if not (loop.last and m.tool_calls and add_generation_prompt) %}{{ '# ' + m.role + '<file_sep>' + m.content }}"
        + CALLS
        + "{{ '[|end|]<|im_end|> <|im_end|>' if m.tool_calls else '<gh_stars>' }}{% endif %}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant<file_sep>' }}{% endif %}",
        [],
        CALLING[:2],
        [],
    ),
    "behind a last call the only token that generation stops at, where nothing else tells": (
        "{% if messages[-1].role == 'assistant' and add_generation_prompt %}{{ raise_exception('x') }}{% endif %}"
        + LOOP
        + "{{ '<role>' + m.role + ': ' + m.content }}"
        + CALLS
        + "{{ '<|im_end|>' }}"
        + END
        + "{{ '<role>assistant: ' }}",
        [],
        SPELLING[:2],
        ["<|im_end|>"],
    ),
    "of several the last one ends, where none opens the rendering": (
        "<repo_name>"
        + LOOP
        + "{{ '[|' + m.role + ': ' + m.content + '<end><e> ' }}"
        + END
        + "{% if add_generation_prompt %}{{ '[|assistant: ' }}{% endif %}",
        [],
        PLAIN,
        ["<e>", "<e>"],
    ),
    "so too where it is the last thing that is written": (
        LOOP
        + "{{ '[' + m.role + '<end>' + m.content + '<filename> \n<repo_name>' }}"
        + END
        + "{% if add_generation_prompt %}{{ '[assistant<end>' }}{% endif %}",
        [],
        SHORT,
        ["<repo_name>"],
    ),
    "behind a call the header of its result ends nothing, for it ends no plain answer": (
        LOOP + "{{ ' <file_sep>' + m.role + ':\n' + m.content }}" + CALLS + "{{ 'END' }}" + END,
        [],
        CALLING,
        [None, "END"],
    ),
    "what closes a call and is no special token is written but ends nothing": (
        LOOP
        + "{{ '<role>' + m.role + '\n' + m.content }}"
        + CALLS
        + END
        + "{% if add_generation_prompt %}{{ '<role>assistant\n' }}{% endif %}",
        [],
        CALLING[:2],
        [None],
    ),
    "behind a call the token that opens the next turn, where generation stops there and at others": (
        LOOP
        + "{{ {'user': '<repo_name><gh_stars>', 'assistant': '<file_sep>'}[m.role] }}{{ m.content }}"
        + CALLS
        + END
        + "{% if add_generation_prompt %}<file_sep>{% endif %}",
        ["<repo_name>", "<gh_stars>"],
        [*CALLING[:2], *SHORT],
        ["<repo_name>", "<repo_name>"],
    ),
    "behind a call what ends plain answers too, though generation stops nowhere": (
        LOOP
        + "{{ {'user': '<file_sep>', 'tool': '<filename>', 'assistant': '<repo_name>'}[m.role] }}{{ m.content }}"
        + CALLS
        + "{{ '' if m.tool_calls and loop.last else '<gh_stars>\n' }}"
        + END
        + "{% if add_generation_prompt %}<repo_name>{% endif %}",
        [],
        CALLING,
        ["<gh_stars>", "<gh_stars>"],
    ),
    "an end in words that only a continued conversation shows": (
        LOOP
        + "{{ '<repo_name>' + m.role + '\n' + m.content }}{% if not loop.last or add_generation_prompt %}"
        + "{{ '<end>\n' }}{% endif %}"
        + END
        + "{% if add_generation_prompt and messages[-1].role != 'assistant' %}{{ '<repo_name>assistant\n' }}{% endif %}",
        [],
        SHORT,
        ["<end>"],
    ),
    "the header that is written behind every message ends nothing, if it be in words": (
        "Be <reponame>nice.<gh_stars>user: " + LOOP + "{{ m.content + 'END ' + " + NEXT + " + ': ' }}" + END,
        [],
        PLAIN,
        ["END", "END"],
    ),
    "nor where something stands before the first one only": (
        "<|endoftext|>user<file_sep>"
        + LOOP
        + "{{ m.content + '</turn>' + "
        + NEXT
        + " + '<file_sep>' }}"
        + END,
        [],
        PLAIN,
        ["</turn>", "</turn>"],
    ),
    "nor where nothing else stands behind an answer": (
        "<filename>user<file_sep>"
        + LOOP
        + "{{ m.content + '<filename>' + "
        + NEXT
        + " + '<file_sep>' }}"
        + END,
        [],
        PLAIN,
        [None, None],
    ),
    "nor what stands behind a token that opens the rendering": (
        "<gh_stars>"
        + LOOP
        + "{{ '# ' + m.role + '\n' + m.content + '<end><gh_stars>x' }}"
        + END
        + "{{ '# assistant\n' }}",
        [],
        PLAIN,
        ["<end>", "<end>"],
    ),
    "nor behind a call": (
        "<gh_stars>"
        + LOOP
        + "{{ '# ' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '<filename><gh_stars>x' }}"
        + END
        + "{{ '# assistant\n' }}",
        [],
        CALLING,
        ["<filename>", "<filename>"],
    ),
    "a token that opens the rendering ends a turn where it stands first behind one": (
        LOOP
        + "{{ '<|endoftext|>' + m.role + '<end>' + m.content }}"
        + CALLS
        + "{{ '<|endoftext|> ' }}"
        + END
        + "<|endoftext|>assistant<end>",
        [],
        [*CALLING, CALLING[0]],
        ["<|endoftext|>", "<|endoftext|>"],
    ),
    "the header that is always written, where generation stops at it": (
        "<|endoftext|>"
        + LOOP
        + "{{ '<gh_stars>' + m.role + ']\n' + m.content }}"
        + CALLS
        + "{{ '[END] ' }}"
        + END
        + "{{ '<gh_stars>assistant]\n' }}",
        ["<gh_stars>"],
        CALLING,
        ["<gh_stars>", "<gh_stars>"],
    ),
    "behind a call a token that generation stops at may be that of a message whose text is left out": (
        LOOP
        + "{{ '# ' + m.role + '\n' }}{{ 'seen<|im_end|>' if m.role == 'tool' else m.content }}"
        + CALLS
        + "{{ '<end>\n' if m.tool_calls else '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n' }}{% endif %}",
        [],
        CALLING,
        [None, None],
    ),
    "behind a call a token ends nothing that ends no plain answer": (
        LOOP
        + "{{ '<filename>' if m.role == 'tool' else '# ' + m.role + '\n' }}{{ m.content }}"
        + CALLS
        + "{{ '<end>\n' if m.tool_calls else '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n' }}{% endif %}",
        [],
        CALLING,
        [None, None],
    ),
    "nor one that opens the rendering": (
        LOOP
        + "{{ '<role>' + m.role + ']\n' + m.content }}"
        + CALLS
        + "{{ '<gh_stars>' if not loop.last else ' ' }}"
        + END
        + "{{ '<role>assistant]\n' }}",
        [],
        CALLING[:2],
        [None],
    ),
    "behind a call what ends a plain answer before the next question, spaces aside": (
        LOOP
        + "{% if not loop.first %}{{ '<role> ' }}{% endif %}{{ '<repo_name>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ ' ' }}"
        + END,
        [],
        SPELLING,
        ["<role>", None],
    ),
}


@pytest.mark.parametrize("rule", list(RULES))
def test_a_rule_of_end_tokens(rule: str, smollm2: ChatTokenizer) -> None:
    source, stops, messages, expected = RULES[rule]
    tokenizer = smollm2.with_chat_template(source, rule, trusted=True)
    tokenizer.stop_ids = frozenset(tokenizer.added_tokens[token] for token in stops)
    layout = locate(tokenizer, messages)
    ends = [turn.end_of_turn and layout.text[slice(*turn.end_of_turn)] for turn in layout.turns]
    assert ends == expected


def test_a_token_that_a_message_spells_ends_nothing(smollm2: ChatTokenizer) -> None:
    source = (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '<|im_end|>\n' }}"
        + END
        + PROMPT
    )
    tokenizer = smollm2.with_chat_template(source, "spells", trusted=True)
    layout = locate(tokenizer, SPELLING[:2])
    (turn,) = layout.turns
    assert layout.text[turn.start : turn.end] == CALL_TEXT.replace('"a"', f'"{EOS}"') + EOS
