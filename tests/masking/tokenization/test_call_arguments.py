"""Arguments of calls as an object and as text are one value, given to a template as it writes JSON."""

import json
from typing import Any

import pytest

from app.masking import ChatTokenizer
from app.masking.tokenization.call_arguments import ArgumentsForm, arguments_object, in_form
from tests.masking.turns.pieces import ASKED, END, LOOP

ARGUMENTS = {"of": 'a "b"', "n": 2}
AS_TEXT = json.dumps(ARGUMENTS)
CALL = "{% for c in m.tool_calls or [] %}{{ ARGUMENTS }}{% endfor %}"


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ("c.function.arguments | tojson", AS_TEXT),
        ("'' + c.function.arguments", AS_TEXT),
        ("'' ~ c.function.arguments", AS_TEXT),
        (
            "c.function.arguments.items() | list | tojson",
            json.dumps([list(pair) for pair in ARGUMENTS.items()]),
        ),
        (
            "c.function.arguments if c.function.arguments is string else c.function.arguments | tojson",
            AS_TEXT,
        ),
    ],
)
@pytest.mark.parametrize("arguments", [ARGUMENTS, AS_TEXT], ids=["object", "text"])
def test_both_spellings_are_written_alike(
    writes: str, expected: str, arguments: Any, smollm2: ChatTokenizer
) -> None:
    source = LOOP + "{{ m.content }}" + CALL.replace("ARGUMENTS", writes) + END
    tokenizer = smollm2.with_chat_template(source, "one", trusted=True)
    call = {"type": "function", "function": {"name": "price", "arguments": arguments}}
    text = tokenizer.render([*ASKED, {"role": "assistant", "content": "", "tool_calls": [call]}])
    assert text == ASKED[0]["content"] + expected


@pytest.mark.parametrize("text", ["no", "[1]", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000, "null"])
def test_what_is_no_object_or_would_lose_something_stays_text(text: str) -> None:
    assert arguments_object(text) is None
    message = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": text}, "odd", {"function": 3}]}
    assert in_form(message, ArgumentsForm.OBJECT) == message
