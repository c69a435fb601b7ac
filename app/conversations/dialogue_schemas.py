"""Dialogues in the OpenAPI document.

REST takes them as JSON of any kind and hands them to the reader of all doors, so that the same fault is refused with
the same code and sentence by a file, a page and a script; what is described here is what that reader takes.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, WithJsonSchema

from app.dialogue import limits
from app.dialogue.documents import Message, ToolDefinition
from app.dialogue.labels import LABELS, Outcome
from app.dialogue.roles import ROLES

Schema = dict[str, Any]


def _text(most: int) -> Schema:
    return {"type": "string", "maxLength": most}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_FUNCTION_CALL: Final[Schema] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {**_text(limits.NAME_CHARACTERS), "minLength": 1},
        "arguments": {
            "anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}],
            "description": "An object, or JSON written as text.",
        },
    },
}
_TOOL_CALL: Final[Schema] = {
    "type": "object",
    "required": ["function"],
    "properties": {
        "id": _or_null(_text(limits.NAME_CHARACTERS)),
        "type": _or_null(_text(limits.NAME_CHARACTERS)),
        "function": _FUNCTION_CALL,
    },
}
_TEXT_PART: Final[Schema] = {
    "type": "object",
    "required": ["text"],
    "properties": {"type": {"type": "string", "const": "text"}, "text": {"type": "string"}},
}
_MESSAGE: Final[Schema] = {
    "type": "object",
    "title": "Message",
    "description": "One turn. `train` forces it in or out of training; absent follows the strategy.",
    "required": ["role"],
    "additionalProperties": False,
    "properties": {
        "role": {"type": "string", "enum": list(ROLES)},
        "content": {
            "anyOf": [
                _text(limits.TEXT_CHARACTERS),
                {"type": "array", "items": _TEXT_PART, "description": "Text parts, which are joined."},
                {"type": "null"},
            ],
            "default": "",
        },
        "name": _or_null(_text(limits.NAME_CHARACTERS)),
        "reasoning_content": _or_null(_text(limits.TEXT_CHARACTERS)),
        "tool_calls": _or_null({"type": "array", "items": _TOOL_CALL}),
        "tool_call_id": _or_null(_text(limits.NAME_CHARACTERS)),
        "train": _or_null({"type": "boolean"}),
    },
}
_MESSAGES: Final[Schema] = {
    "type": "array",
    "items": _MESSAGE,
    "minItems": 1,
    "maxItems": limits.MESSAGES,
}
_TOOLS: Final[Schema] = {
    "type": "array",
    "maxItems": limits.TOOLS,
    "description": "The tools that the assistant may call; chat templates get them as `tools`.",
    "items": {
        "type": "object",
        "title": "Tool",
        "required": ["function"],
        "properties": {
            "type": {"type": "string", "const": "function"},
            "function": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": limits.TOOL_NAME_CHARACTERS,
                        "pattern": "^\\S+$",
                    },
                    "description": _or_null({"type": "string"}),
                    "parameters": _or_null({"type": "object", "description": "A JSON Schema object."}),
                },
            },
        },
    },
}


def messages_schema() -> WithJsonSchema:
    """Messages, at least one."""
    return WithJsonSchema(_MESSAGES)


def tools_schema() -> WithJsonSchema:
    """Tools, [] for none."""
    return WithJsonSchema(_TOOLS)


def label_schema(name: str) -> WithJsonSchema:
    """A label of text, null where unknown."""
    return WithJsonSchema(_or_null(_text(LABELS[name])))


MessagesIn = Annotated[Any, messages_schema()]
ToolsIn = Annotated[Any, WithJsonSchema(_or_null(_TOOLS))]
OutcomeIn = Annotated[
    Any, WithJsonSchema(_or_null({"type": "string", "enum": [outcome.value for outcome in Outcome]}))
]
TagsIn = Annotated[
    Any,
    WithJsonSchema(_or_null({"type": "array", "items": _text(LABELS["tags"]), "maxItems": limits.TAGS})),
]


class DialogueOut(BaseModel):
    """What is said, with every label: null where it is unknown."""

    messages: Annotated[list[Message], messages_schema()]
    tools: Annotated[list[ToolDefinition], tools_schema()]
    outcome: Outcome | None
    stage: str | None
    objection: str | None
    product: str | None
    language: str | None
    source: str | None
    tags: list[str]
