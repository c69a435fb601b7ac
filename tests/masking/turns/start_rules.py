"""Rules of where an answer begins, each with a template that needs it and a conversation."""

from typing import Any

from tests.masking.turns.pieces import ASKED, CALL, CALLING, CALLS, END, EOS, LOOP, PROMPT, TURN
from tests.support.masks import chat

THINK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
# What stands before a sign is not rendered, so that only the end of the text can be told.
BEHIND_A_SIGN = (
    LOOP + "{{ '<|im_start|>' + m.role + '\n' + m.content.split('##')[-1] + '<|im_end|>\n' }}" + END
)
SIGNED = chat("q", "Hm##Ten.")["messages"]
# No prompt can be written before an answer that comes first.
NOT_ALONE = "{% if messages[0].role == 'system' %}{% endif %}"
FIRST = [*chat("q", "Ten.")["messages"][1:], *chat("q", "Six.")["messages"]]


NOTED = LOOP + "{{ '<|im_start|>' + m.role + '\nNote: ' + m.content + '<|im_end|>\n' }}" + END


def prompted(prompt: str) -> str:
    return "{% if add_generation_prompt %}{{ '" + prompt + "' }}{% endif %}"


# rule -> template, conversation, what the model must write in each answer
RULES: dict[str, tuple[str, list[dict[str, Any]], list[str]]] = {
    "behind all that the prompt says, where the answer itself repeats its end": (
        LOOP + TURN + END + THINK,
        chat("q", "<think>\nTen.", "r", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "where the prompt goes on with a marker, though the beginning of the text is not told": (
        BEHIND_A_SIGN + THINK,
        SIGNED,
        ["Ten." + EOS],
    ),
    "behind a header that is spaced otherwise in the prompt, which ends with the answer's own beginning": (
        LOOP
        + "{{ '# <role>' + m.role + ':' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("#  <role>assistant:"),
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "behind as much white space as the prompt ends with, where the header has more": (
        LOOP
        + "{{ '# <role>' + m.role + ':\n\n' + m.content + '<|im_end|>' }}"
        + END
        + prompted("#  <role>assistant:\\n"),
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["\nTen." + EOS, "\nSix." + EOS],
    ),
    "as the prompt before this very turn says, not as the one after a lone question": (
        LOOP
        + TURN
        + END
        + prompted("<|im_start|>assistant")
        + "{% if add_generation_prompt and messages | length > 1 %}{{ '\n' }}{% endif %}",
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["\nTen." + EOS, "Six." + EOS],
    ),
    "behind the prompt, where a first answer's header says more": (
        NOT_ALONE + NOTED + PROMPT,
        FIRST,
        ["Note: Ten." + EOS, "Note: Six." + EOS],
    ),
    "behind a first answer's header, however much more the prompt says": (
        NOT_ALONE
        + LOOP
        + TURN
        + END
        + prompted("<|im_start|>assistant\\nHere is, at some length, what I think of it:\\n"),
        FIRST,
        ["Ten." + EOS, "Six." + EOS],
    ),
    "before a call, where the prompt goes on with words and the answer says nothing": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '<|im_end|>\n' }}"
        + END
        + prompted("<|im_start|>assistant\\n(I think)\\n"),
        CALLING,
        ['<call>price{"of": "a"}</call>' + EOS, "Ten." + EOS],
    ),
    "behind a header that begins with more white space than the prompt": (
        LOOP
        + "{{ '\n\n<role>' + m.role + ': ' + m.content + '<|im_end|>' }}"
        + END
        + prompted(" <role>assistant: "),
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "before a call, where the template leaves out the text beside it and the prompt goes on with words": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '\n' }}{% if m.tool_calls %}"
        + CALLS
        + "{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}"
        + END
        + prompted("<|im_start|>assistant\\n(I think)\\n"),
        [*ASKED, {**CALL, "content": " "}, *CALLING[2:]],
        ['<call>price{"of": "a"}</call>' + EOS, "Ten." + EOS],
    ),
    "behind a header that is spaced otherwise, where the prompt ends with white space of its own": (
        LOOP
        + "{{ '# <role>' + m.role + ':' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("#  <role>assistant:\\n"),
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "before a word of the header, where the prompt goes on with a sign": (
        NOTED + prompted("<|im_start|>assistant\\n(I think)\\n"),
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["Note: Ten." + EOS, "Note: Six." + EOS],
    ),
    "before a word of a first answer's header, where the prompt goes on with white space": (
        NOT_ALONE + NOTED + prompted("<|im_start|>assistant\\n\\n"),
        FIRST,
        ["Note: Ten." + EOS, "Note: Six." + EOS],
    ),
    "behind a first answer's header, where the prompt begins with a sign right after a word": (
        NOT_ALONE + LOOP + "{{ 'Turn###\n' + m.content + '<|im_end|>\n' }}" + END + prompted("###\\n"),
        FIRST,
        ["Ten." + EOS, "Six." + EOS],
    ),
    "behind what the prompt says beyond a first answer's header, where the answer repeats it": (
        NOT_ALONE + LOOP + TURN + END + THINK,
        [{"role": "assistant", "content": "<think>\nTen."}, *chat("q", "Six.")["messages"]],
        ["Ten." + EOS, "Six." + EOS],
    ),
}
# rule -> template, conversation, the turn that is named
REFUSED: dict[str, tuple[str, list[dict[str, Any]], int]] = {
    "where the prompt goes on with words and the beginning of the text is not told": (
        BEHIND_A_SIGN + prompted("<|im_start|>assistant\\n(I think)\\n"),
        SIGNED,
        2,
    ),
    "where nothing tells the beginning of a first answer": (NOT_ALONE + BEHIND_A_SIGN, SIGNED[1:], 1),
    "where a header that is spaced otherwise in the prompt has another name there": (
        LOOP
        + "{{ '# <role>' + m.role + ':' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("#  <role>sales:"),
        chat("q", "Ten.")["messages"],
        2,
    ),
    "where the header has next to nothing of the prompt": (
        NOT_ALONE
        + LOOP
        + "{{ m.role + '>' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("> This is what sales has to say:"),
        FIRST,
        1,
    ),
    "where the prompt is in what a person said before, and not in the header": (
        "{% if add_generation_prompt and messages | length > 1 %}{{ raise_exception('once') }}{% endif %}"
        + LOOP
        + "{{ '# ' + m.role + ':\n' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("### Go:\\n"),
        chat("q", "Ten.", "### Go:\nSix?", "Six.")["messages"],
        4,
    ),
    "where the prompt says more than the header, and nothing is written without it": (
        "{% if not add_generation_prompt and messages[-1].role != 'assistant' %}{{ raise_exception('ask') }}{% endif %}"
        + LOOP
        + TURN
        + END
        + THINK,
        chat("q", "Ten.")["messages"],
        2,
    ),
    "where the prompt would begin in the middle of a word": (
        NOT_ALONE
        + LOOP
        + "{{ 'Turn' + m.role + ':\n' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("assistant:\\n"),
        FIRST,
        1,
    ),
    "where the prompt and the header go on with words, each with its own": (
        NOT_ALONE + NOTED + prompted("<|im_start|>assistant\\nI think: "),
        FIRST,
        1,
    ),
    "where the prompt begins with another sign than the header": (
        LOOP
        + "{{ '#' + m.role + ':\n' + m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}"
        + END
        + prompted("*assistant:\\n"),
        chat("q", "Ten.")["messages"],
        2,
    ),
    "where the prompt has white space and the header none": (
        LOOP
        + "{{ '#<role>' + m.role + ':' + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("# <role>assistant:"),
        chat("q", "Ten.")["messages"],
        2,
    ),
    "where the header is spaced otherwise in the prompt and the beginning of the text is not told": (
        LOOP
        + "{{ '# <role>' + m.role + ':' + m.content.split('##')[-1] + '<|im_end|>\n' }}"
        + END
        + prompted("#  <role>assistant:"),
        SIGNED,
        2,
    ),
    "where a first answer's header has but a line break of the prompt": (
        NOT_ALONE
        + LOOP
        + "{{ ('Q\n' if m.role == 'assistant' else 'U: ') + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("\\nA:"),
        FIRST,
        1,
    ),
    "where a first answer's header has less than half of the prompt": (
        NOT_ALONE
        + LOOP
        + "{{ ('Go: ' if m.role == 'assistant' else 'U: ') + m.content + '<|im_end|>\n' }}"
        + END
        + prompted("Go: think"),
        FIRST,
        1,
    ),
    "where the prompt is but white space": (NOT_ALONE + LOOP + TURN + END + prompted("\\n"), FIRST, 1),
}
