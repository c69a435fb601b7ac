"""Where answers end, whatever their template writes behind them: each rule with a template that needs it."""

from typing import Any

import pytest

from app.masking import ChatTokenizer, MaskRefused, MaskSettings, locate, mask_conversation, run_checks
from tests.masking.turns.pieces import (
    ASKED,
    CALL,
    CALLING,
    CALLS,
    END,
    EOS,
    LOOP,
    PLAIN,
    PROMPT,
    RESULT,
    TURN,
)
from tests.support.masks import chat, trained_text

# name -> template, conversation, what the model must write in each answer
TURNS: dict[str, tuple[str, list[dict[str, Any]], list[str]]] = {
    "a call that looks different while it is the last message": (
        LOOP + "{{ '<|im_start|>' + m.role + '\n' }}{% if loop.last and m.role == 'assistant' %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content }}"
        + CALLS
        + "{{ '<|im_end|>\n' }}"
        + END
        + PROMPT,
        CALLING,
        ['<call>price{"of": "a"}</call>' + EOS, "<think>\n\n</think>\n\nTen." + EOS],
    ),
    "the words beside a call are dropped": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' }}{% if m.tool_calls %}"
        + CALLS
        + "{% else %}{{ m.content }}"
        "{% endif %}{{ '<|im_end|>\n' }}" + END + PROMPT,
        [*ASKED, {**CALL, "content": "Let me look."}, RESULT, {"role": "assistant", "content": "Ten."}],
        ['<call>price{"of": "a"}</call>' + EOS, "Ten." + EOS],
    ),
    "the result stands inside the model's turn": (
        LOOP + "{% if m.role == 'tool' %}{{ '<filename>' + m.content + '<gh_stars>' }}"
        "{% elif m.role == 'user' %}" + TURN + "{% else %}"
        "{% if not (loop.previtem and loop.previtem.role == 'tool') %}{{ '<|im_start|>assistant\n' }}{% endif %}"
        "{% if m.tool_calls %}" + CALLS + "{% if loop.last %}{{ '<filename>' }}{% endif %}"
        "{% else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endif %}"
        + END
        + "{% if add_generation_prompt and messages[-1].role == 'user' %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        CALLING,
        ['<call>price{"of": "a"}</call><filename>', "Ten." + EOS],
    ),
    "two answers that end otherwise than the last": (
        LOOP + "{{ '<|im_start|>' + m.role + '<file_sep>' + m.content }}"
        "{{ '<gh_stars>' if loop.last and m.role == 'assistant' and not add_generation_prompt else '<filename>' }}"
        + END
        + "{% if add_generation_prompt %}<|im_start|>assistant<file_sep>{% endif %}",
        [*ASKED, {"role": "assistant", "content": "Hm."}, {"role": "assistant", "content": "Ten."}, *ASKED],
        ["Hm.<filename>", "Ten.<filename>"],
    ),
    "every message is followed by the model's next header": (
        "<repo_name><reponame>Be nice.<gh_stars>"
        + LOOP
        + "{{ '<repo_name>' + m.role + '<file_sep>' + m.content }}"
        "{{ '<filename><gh_stars>' }}" + END + "<repo_name>assistant<file_sep>",
        [*chat("q", "Ten.", "r", "Six.")["messages"], {"role": "assistant", "content": "Bye."}],
        ["Ten.<filename><gh_stars>", "Six.<filename><gh_stars>", "Bye.<filename><gh_stars>"],
    ),
    "an end that this vocabulary does not know after one that looks like it": (
        LOOP
        + "{{ '[|' + m.role + '|]\n' + m.content }}"
        + CALLS
        + "{{ '[|end|]\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '[|assistant|]\n' }}{% endif %}",
        CALLING,
        ['<call>price{"of": "a"}</call>[|end|]', "Ten.[|end|]"],
    ),
    "a call whose end is spaced otherwise while it is the last message": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '' if m.tool_calls and loop.last else '\n' }}{{ '<|im_end|>\n' }}"
        + END
        + "{% if add_generation_prompt and messages[-1].role != 'assistant' %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        CALLING,
        ['<call>price{"of": "a"}</call>\n' + EOS, "Ten.\n" + EOS],
    ),
    "a call that is the last message and shown otherwise with a prompt": (
        LOOP + "{% if not (loop.last and m.tool_calls and add_generation_prompt) %}"
        "{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '<filename>' + ('\n' if not m.tool_calls else '') + '<|im_end|>\n' }}{% endif %}"
        + END
        + PROMPT,
        [*ASKED, CALL],
        ['<call>price{"of": "a"}</call><filename>' + EOS],
    ),
    "a call that shows its number only while the conversation goes on": (
        LOOP + "{{ '<repo_name>' + m.role + '\n' + m.content }}{% for c in m.tool_calls or [] %}"
        "{{ '<call>' + c.function.name + c.function.arguments | tojson }}"
        "{{ '' if loop.last and messages[-1] == m else c.id }}</call>{% endfor %}"
        "{{ '' if loop.last and m.tool_calls else '\n<|im_end|>\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '<repo_name>assistant\n' }}{% endif %}",
        CALLING,
        ['<call>price{"of": "a"}c1</call>\n' + EOS, "Ten.\n" + EOS],
    ),
    "a call that says more while the conversation goes on": (
        LOOP
        + "{{ '<repo_name>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '' if loop.last and m.tool_calls else ' over\n<|im_end|>\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '<repo_name>assistant\n' }}{% endif %}",
        CALLING,
        ['<call>price{"of": "a"}</call> over\n' + EOS, "Ten. over\n" + EOS],
    ),
    "a call that ends otherwise while it is the last message": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '<gh_stars>' if loop.last else '<filename>\n' }}"
        + END
        + PROMPT,
        [*CALLING[:3], {"role": "assistant", "content": "Ten."}],
        ['<call>price{"of": "a"}</call><filename>', "Ten.<gh_stars>"],
    ),
    "headers that look alike and nothing that ends a turn but the last": (
        LOOP
        + "<role>{{ {'system': 'SYS', 'user': 'HUMAN', 'assistant': 'BOT'}[m.role] }}</role>{{ m.content }}"
        "{% if loop.last %}{{ eos_token }}{% endif %}"
        + END
        + "{% if add_generation_prompt %}<role>BOT</role>{% endif %}",
        [
            {**turn, "train": turn["content"] == "Six."}
            for turn in chat("q", "Ten.", "r", "Six.", system="s")["messages"]
        ],
        ["Six." + EOS],
    ),
    "two answers, and a prompt after questions only": (
        "{% for m in messages %}{{ m.role + ':\n' + m.content }}{% if m.role == 'assistant' and not loop.last %}"
        "{{ '<|im_end|>' }}{% endif %}{{ '' if loop.last else '\n' }}{% endfor %}"
        "{% if add_generation_prompt and messages[-1].role == 'user' %}{{ '\nassistant:\n' }}{% endif %}",
        [*ASKED, {"role": "assistant", "content": "Hm."}, {"role": "assistant", "content": "Ten."}, *ASKED],
        ["Hm." + EOS, "Ten." + EOS],
    ),
    "an end that only a continued conversation shows": (
        LOOP
        + "{{ '<repo_name>' + m.role + '\n' + m.content }}{% if not loop.last or add_generation_prompt %}"
        "{{ '<gh_stars>\n' }}{% endif %}"
        + END
        + "{% if add_generation_prompt and messages[-1].role != 'assistant' %}{{ '<repo_name>assistant\n' }}{% endif %}",
        chat("q", "Ten.", "r", system="s")["messages"],
        ["Ten.<gh_stars>"],
    ),
}


@pytest.mark.parametrize("name", sorted(TURNS))
def test_turns_are_found_whatever_the_template_does_with_them(name: str, smollm2: ChatTokenizer) -> None:
    source, messages, expected = TURNS[name]
    tokenizer = smollm2.with_chat_template(source, name, trusted=True)
    sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
    assert [sample.text[start:end] for start, end, _ in sample.spans] == expected
    assert trained_text(tokenizer, sample) == "".join(expected)
    lost = ["carried"] if "dropped" in name else []
    assert [check.name for check in run_checks(tokenizer, sample) if not check.passed] == lost


# template, conversation -> which answers look otherwise here than while they are the last message
REWRITTEN: dict[str, tuple[str, list[dict[str, Any]], list[bool]]] = {
    "none, as in ChatML": (LOOP + TURN + END + PROMPT, PLAIN, [False, False]),
    "thinking that only the last answer shows, as in Qwen3": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' }}{% if loop.last and m.role == 'assistant' %}"
        + "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}"
        + END
        + PROMPT,
        PLAIN,
        [True, False],
    ),
    "only in front of a prompt, which is no last message": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' }}{% if loop.last and m.role == 'assistant' and add_generation_prompt %}"
        + "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}"
        + END
        + PROMPT,
        PLAIN,
        [False, False],
    ),
    "unknown, where the template refuses the beginning": (
        "{% if not add_generation_prompt and messages | length in (2, 3) %}{{ raise_exception('ask') }}{% endif %}"
        + LOOP
        + TURN
        + END
        + PROMPT,
        PLAIN,
        [False, False],
    ),
}


@pytest.mark.parametrize("name", list(REWRITTEN))
def test_an_answer_that_is_shown_otherwise_later_is_told(name: str, smollm2: ChatTokenizer) -> None:
    source, messages, expected = REWRITTEN[name]
    layout = locate(smollm2.with_chat_template(source, name, trusted=True), messages)
    assert [turn.rewritten for turn in layout.turns] == expected
    if name.endswith("Qwen3"):
        # Before a question that is not answered yet it is the last but one.
        short = locate(smollm2.with_chat_template(source, "short", trusted=True), messages[:3])
        assert [turn.rewritten for turn in short.turns] == [True]


def test_a_call_that_goes_on_otherwise_and_has_no_known_end_is_refused(smollm2: ChatTokenizer) -> None:
    """Where the two renderings part, in the middle of the call, nothing ends."""
    source, messages, _ = TURNS["a call that shows its number only while the conversation goes on"]
    tokenizer = smollm2.with_chat_template(source.replace(EOS, "<gh_stars>"), "numbers", trusted=True)
    with pytest.raises(MaskRefused, match="numbers writes turn 2 otherwise when it is the last one"):
        mask_conversation(tokenizer, {"messages": messages}, MaskSettings())


def test_what_two_headers_have_in_common_is_no_end_of_turn(smollm2: ChatTokenizer) -> None:
    """Headers in words, the next of which is always written: where they part is the middle of one."""
    source = LOOP + "{{ '# ' + m.role + ':\n\n' + m.content + '\n' }}{% endfor %}{{ '# ' + closing }}"
    messages = chat("q", "Ten.", "r", "Six.")["messages"]
    same = smollm2.with_chat_template(source.replace("closing", "'assistant:\n\n'"), "the same", trusted=True)
    sample = mask_conversation(same, {"messages": messages}, MaskSettings()).samples[0]
    assert [sample.text[start:end] for start, end, _ in sample.spans] == ["Ten.", "Six."]
    assert [check.name for check in run_checks(same, sample) if not check.passed] == ["end_of_turn"]
    speaker = "({'user': 'assistant', 'assistant': 'question'}[messages[-1].role] + ':\n\n')"
    other = smollm2.with_chat_template(source.replace("closing", speaker), "speakers", trusted=True)
    with pytest.raises(MaskRefused, match="speakers writes turn 2 otherwise when it is the last one"):
        mask_conversation(other, {"messages": messages}, MaskSettings())


@pytest.mark.parametrize("opening", ["<role>", "<gh_stars>"], ids=["text", "control token"])
@pytest.mark.parametrize("system", ["", "s"], ids=["no system", "system"])
def test_a_header_is_no_end_of_turn(opening: str, system: str, smollm2: ChatTokenizer) -> None:
    """Where nothing ends a turn its check says so, instead of training some of the next header."""
    source = TURNS["headers that look alike and nothing that ends a turn but the last"][0]
    source = source.replace("{{ eos_token }}", "").replace("<role>", opening)
    tokenizer = smollm2.with_chat_template(source, "no ends", trusted=True)
    sample = mask_conversation(
        tokenizer, chat("q", "Ten.", "r", "Six.", system=system or None), MaskSettings()
    ).samples[0]
    assert [sample.text[start:end] for start, end, _ in sample.spans] == ["Ten.", "Six."]
    assert [check.name for check in run_checks(tokenizer, sample) if not check.passed] == ["end_of_turn"]


def test_what_closes_a_call_is_no_end_of_turn_unless_generation_stops_there(smollm2: ChatTokenizer) -> None:
    """A model may stop by opening the result of its call: that token is trained with the call."""
    source = (
        "{% for m in messages %}{{ {'user': '<repo_name>', 'tool': '<gh_stars>', 'assistant': '<file_sep>'}[m.role] }}"
        "{{ m.content }}" + CALLS + "{% endfor %}{% if add_generation_prompt %}<file_sep>{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "stops at results", trusted=True)
    for stops in (["<repo_name>", "<gh_stars>"], []):
        tokenizer.stop_ids = frozenset(tokenizer.added_tokens[token] for token in stops)
        tokenizer.__dict__.pop("stop_tokens", None)
        sample = mask_conversation(tokenizer, {"messages": [*CALLING, *ASKED]}, MaskSettings()).samples[0]
        expected = ['<call>price{"of": "a"}</call>', "Ten."]
        if stops:
            expected = [expected[0] + "<gh_stars>", expected[1] + "<repo_name>"]
        assert [sample.text[start:end] for start, end, _ in sample.spans] == expected
        failed = [
            check.sentence.values.get("turn") for check in run_checks(tokenizer, sample) if not check.passed
        ]
        assert failed == ([] if stops else [2])


def test_a_chosen_answer_that_leaves_no_trace_fails_its_check(smollm2: ChatTokenizer) -> None:
    """A template that knows no tools writes a header and nothing else."""
    source = (
        LOOP
        + "{{ '<file_sep>' + m.role + '\n' + m.content }}"
        + END
        + "{% if add_generation_prompt %}{{ '<file_sep>assistant\n' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "no tools", trusted=True)
    sample = mask_conversation(tokenizer, {"messages": CALLING}, MaskSettings()).samples[0]
    no_end, left_out = [check for check in run_checks(tokenizer, sample) if not check.passed]
    assert (no_end.name, no_end.sentence.values["turn"]) == ("end_of_turn", 2)
    assert (left_out.name, left_out.sentence.values["left_out"]) == ("carried", "2: tool_calls price(of)")


@pytest.mark.parametrize("end", ["<file_sep>", "[END]", "</turn>"], ids=["control", "brackets", "text"])
@pytest.mark.parametrize(
    "header", ["<repo_name>{}\n", "<gh_stars>{}<reponame>", "[{}]\n", "{}:\n"], ids=str.strip
)
def test_the_next_header_is_never_trained_whatever_ends_a_turn_and_however_often_it_is_written(
    end: str, header: str, smollm2: ChatTokenizer
) -> None:
    """An end that is text for this vocabulary, and a header that is written before anybody asks for it."""

    def written(speaker: str) -> str:
        before, after = (repr(part) for part in header.split("{}"))
        return f"{{{{ {before} + {speaker} + {after} }}}}"

    content = "{{ m.content + " + repr(end) + " }}"
    each = LOOP + written("m.role") + content + END
    following = written("('assistant' if m.role == 'user' else 'user')")
    templates = {
        "the answer's, always": each + written("'assistant'"),
        "the next speaker's, always": each
        + written("{'user': 'assistant', 'assistant': 'user'}[messages[-1].role]"),
        "behind every message": written("messages[0].role") + LOOP + content + following + END,
        "when asked": each + "{% if add_generation_prompt %}" + written("'assistant'") + "{% endif %}",
    }
    for name, source in templates.items():
        tokenizer = smollm2.with_chat_template(source, name, trusted=True)
        for turns in (("q", "Ten."), ("q", "Ten.", "r"), ("q", "Ten.", "r", "Six.")):
            sample = mask_conversation(tokenizer, chat(*turns), MaskSettings()).samples[0]
            expected = [answer + end for answer in turns[1::2]]
            assert [sample.text[start:stop] for start, stop, _ in sample.spans] == expected, name
            assert all(check.passed for check in run_checks(tokenizer, sample)), name
