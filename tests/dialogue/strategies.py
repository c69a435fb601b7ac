"""What conversations can look like, for tests by properties: texts that formats stumble over, calls, tools, labels."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20
) | st.sampled_from(
    ["=1+1", "'=1", '"', "a\r\nb", "\u2028", "\ufeff", "[a", "a, b", "<|im_end|>", " ", "报价：１００"]
)
SAID = TEXT.filter(lambda text: bool(text.strip()))
LABEL = st.none() | SAID
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
ARGUMENTS = TEXT | st.dictionaries(TEXT, VALUE, max_size=2)
CALL = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": SAID, "arguments": ARGUMENTS})},
    optional={"id": TEXT, "type": st.just("function")},
)
OPTIONAL = {"name": TEXT, "reasoning_content": TEXT, "train": st.booleans()}
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": TEXT},
    optional={**OPTIONAL, "tool_call_id": TEXT},
) | st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXT, "tool_calls": st.lists(CALL, min_size=1, max_size=2)},
    optional=OPTIONAL,
)
SCHEMA = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(TEXT, VALUE, max_size=2)},
    optional={"required": st.lists(TEXT, max_size=2)},
)
TOOL = st.fixed_dictionaries(
    {"name": st.from_regex("[a-z_]{1,12}", fullmatch=True)},
    optional={"description": TEXT, "parameters": SCHEMA, "strict": st.booleans()},
).map(lambda function: {"type": "function", "function": function})
TOOLS = st.lists(TOOL, max_size=3, unique_by=lambda tool: tool["function"]["name"])
PLAIN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXT})
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "outcome": st.sampled_from([None, "won", "lost", "open"]),
        "language": st.sampled_from([None, "en", "zh"]),
        "tags": st.lists(SAID, max_size=3),
        **dict.fromkeys(("stage", "objection", "source", "product"), LABEL),
    },
)


def conversations(
    message: st.SearchStrategy[dict[str, Any]], tools: st.SearchStrategy[list[dict[str, Any]]] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Conversations that may be read; with tools where a strategy of them is given."""
    said = st.fixed_dictionaries({"role": st.just("user"), "content": SAID})
    messages = st.tuples(said, st.lists(message, max_size=5)).map(lambda parts: [parts[0], *parts[1]])
    return st.builds(
        lambda found, labels, tools: {"messages": found, **({"tools": tools} if tools else {}), **labels},
        messages,
        LABELS,
        tools or st.just([]),
    )
