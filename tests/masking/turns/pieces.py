"""Pieces of chat templates, and conversations that call tools."""

from typing import Any

from tests.support.masks import chat

CALL: dict[str, Any] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "price", "arguments": {"of": "a"}}}],
}
RESULT = {"role": "tool", "name": "price", "tool_call_id": "c1", "content": "10"}
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "How much?"}]
CALLING = [*ASKED, CALL, RESULT, {"role": "assistant", "content": "Ten."}]
PLAIN = chat("Hi", "Ten.", "r", "Six.")["messages"]
SHORT = chat("Hi", "Ten.", "r")["messages"]
HEAD, EOS = "<|im_start|>", "<|im_end|>"

TURN = "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
CALLS = (
    "{% for c in m.tool_calls or [] %}"
    "{{ '<call>' + c.function.name + c.function.arguments | tojson + '</call>' }}{% endfor %}"
)
LOOP = "{% for m in messages %}"
END = "{% endfor %}"
