"""What a conversation is made of, as the typed dictionaries that travel between the packages.

They are plain JSON. Whatever comes from outside becomes one through `reading.read_conversation`, which checks it.
"""

from typing import Any, Final, NotRequired, TypedDict


class FunctionCall(TypedDict):
    """`arguments` are an object, or JSON in a text: as the source wrote them."""

    name: str
    arguments: NotRequired[str | dict[str, Any]]


class ToolCall(TypedDict):
    """A call as OpenAI spells it."""

    id: NotRequired[str]
    type: NotRequired[str]
    function: FunctionCall


class Message(TypedDict):
    """One turn. `train` forces it in or out of training; without it the strategy decides."""

    role: str
    content: str
    name: NotRequired[str]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    tool_call_id: NotRequired[str]
    train: NotRequired[bool]


class FunctionDefinition(TypedDict):
    """`parameters` is a JSON Schema object."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[dict[str, Any]]


class ToolDefinition(TypedDict):
    """A tool that the assistant may call; chat templates get it as it stands."""

    type: str
    function: FunctionDefinition


class Labels(TypedDict, total=False):
    """What is known of a conversation beside its words; None where unknown. Their lengths are in `labels`."""

    outcome: str | None
    stage: str | None
    objection: str | None
    product: str | None
    language: str | None
    source: str | None
    tags: list[str]


class Conversation(Labels):
    """Messages, the tools that the assistant may call, and labels. No tools, no key."""

    messages: list[Message]
    tools: NotRequired[list[ToolDefinition]]


class FrozenConversation(Conversation):
    """A line of a version's file; `split` is train or validation."""

    id: int
    split: str


# In the order of the canonical form.
MESSAGE_FIELDS: Final = (
    "role",
    "content",
    "name",
    "reasoning_content",
    "tool_calls",
    "tool_call_id",
    "train",
)
# What other tools call `reasoning_content`, the name that counts first.
REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")
# What chat templates read it under; gpt-oss reads the second.
TEMPLATE_REASONING_FIELDS: Final = ("reasoning_content", "thinking")
