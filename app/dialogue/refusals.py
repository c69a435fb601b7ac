"""Why something is no conversation: a code for programs and a sentence for people, the same at every door.

Turns, tools and calls are counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from app.sentences import N_, Sentence, SentenceError


@dataclass(frozen=True)
class Refusal:
    """A kind of fault: a stable code, and an English template with named places."""

    code: str
    template: str


class DialogueRefused(SentenceError):
    """`field` is the place in the conversation, as a path: messages.3.tool_calls, tools.0, stage."""

    def __init__(self, refusal: Refusal, field: str, **values: Any) -> None:
        super().__init__(Sentence.of(refusal.template, **values), refusal.code)
        self.field = field


NO_MESSAGES: Final = Refusal("no_messages", N_("A conversation needs at least one message."))
TOO_MANY_MESSAGES: Final = Refusal(
    "too_many_messages", N_("A conversation can have at most %(limit)d messages. Split it.")
)
CONVERSATION_TOO_LARGE: Final = Refusal(
    "conversation_too_large", N_("A conversation can take at most %(limit)s as JSON. Split it.")
)
TOO_DEEP: Final = Refusal(
    "too_deep", N_("“%(name)s” is nested more than %(limit)d levels deep in its conversation. Flatten it.")
)
NUMBER_NOT_STORABLE: Final = Refusal(
    "number_not_storable",
    N_(
        "“%(name)s” holds a number that JSON cannot (NaN, infinity) or one of more than %(limit)d digits. "
        "Write it as text."
    ),
)
TEXT_NOT_STORABLE: Final = Refusal(
    "text_not_storable", N_("“%(name)s” contains characters that cannot be stored (NUL or half a pair).")
)

# messages
MESSAGES_NOT_LIST: Final = Refusal("messages_not_list", N_("“messages” must be a list of messages."))
MESSAGE_NOT_OBJECT: Final = Refusal(
    "message_not_object", N_("Turn %(turn)d must be an object with role and content.")
)
MESSAGE_FIELD_UNKNOWN: Final = Refusal(
    "message_field_unknown", N_("Turn %(turn)d has an unknown field: %(name)s.")
)
ROLE_UNKNOWN: Final = Refusal(
    "unknown_role",
    N_("Turn %(turn)d has the unknown role “%(role)s”. Use system, user, assistant or tool."),
)
CONTENT_NOT_TEXT: Final = Refusal(
    "content_not_text", N_("Turn %(turn)d: the content must be text; images, audio and files cannot be kept.")
)
FIELD_NOT_TEXT: Final = Refusal("field_not_text", N_("Turn %(turn)d: “%(name)s” must be text."))
TEXT_TOO_LONG: Final = Refusal(
    "text_too_long", N_("Turn %(turn)d: “%(name)s” is longer than %(limit)d characters.")
)
BAD_TRAIN: Final = Refusal("bad_train", N_("Turn %(turn)d: train must be true, false or absent."))
TURN_NOT_STORABLE: Final = Refusal(
    "text_not_storable", N_("Turn %(turn)d contains characters that cannot be stored (NUL or half a pair).")
)
TOOL_CALLS_ROLE: Final = Refusal("tool_calls_role", N_("Turn %(turn)d: only an assistant can call tools."))
BAD_TOOL_CALLS: Final = Refusal(
    "bad_tool_calls",
    N_("Turn %(turn)d: “tool_calls” must be a list of calls, each with a “function” that has a “name”."),
)
CALL_FIELD_NOT_TEXT: Final = Refusal(
    "bad_tool_calls", N_("Turn %(turn)d: “%(name)s” of a tool call must be text.")
)
BAD_ARGUMENTS: Final = Refusal(
    "bad_arguments",
    N_("Turn %(turn)d: “arguments” of a tool call must be an object, or JSON written as text."),
)

# tools
TOOLS_NOT_LIST: Final = Refusal(
    "tools_not_list", N_("“tools” must be a list of tools: {“type”: “function”, “function”: {“name” …}}.")
)
TOO_MANY_TOOLS: Final = Refusal(
    "too_many_tools", N_("A conversation can have at most %(limit)d tools. Leave out those it cannot need.")
)
TOOLS_TOO_LARGE: Final = Refusal(
    "tools_too_large", N_("The tools of a conversation can take at most %(limit)s as JSON. Shorten them.")
)
TOOL_NOT_FUNCTION: Final = Refusal(
    "bad_tool", N_("Tool %(tool)d must be an object of type “function” with a “function” that has a “name”.")
)
TOOL_NAME: Final = Refusal(
    "bad_tool_name",
    N_("Tool %(tool)d: “function.name” must be 1 to %(limit)d characters without blanks."),
)
TOOL_TWICE: Final = Refusal(
    "tool_twice", N_("Tool %(tool)d has the name “%(name)s” of a tool before it. Rename one of them.")
)
TOOL_DESCRIPTION: Final = Refusal("bad_tool", N_("Tool %(tool)d: “function.description” must be text."))
TOOL_PARAMETERS: Final = Refusal(
    "bad_tool_parameters",
    N_("Tool %(tool)d: “function.parameters” must be a JSON Schema for an object."),
)
TOOL_REQUIRED: Final = Refusal(
    "bad_tool_parameters",
    N_("Tool %(tool)d: “function.parameters.required” must be a list of names."),
)

# labels
LABEL_UNKNOWN: Final = Refusal("label_unknown", N_("There is no label %(name)s."))
LABEL_NOT_TEXT: Final = Refusal("label_not_text", N_("The label %(name)s must be text."))
LABEL_TOO_LONG: Final = Refusal(
    "label_too_long", N_("The label %(name)s is longer than %(limit)d characters.")
)
LABEL_NOT_STORABLE: Final = Refusal(
    "text_not_storable",
    N_("The label %(name)s contains characters that cannot be stored (NUL or half a pair)."),
)
TAGS_NOT_LIST: Final = Refusal("tags_not_list", N_("The tags must be a list of texts."))
TOO_MANY_TAGS: Final = Refusal("too_many_tags", N_("A conversation can have at most %(limit)d tags."))
OUTCOME_UNKNOWN: Final = Refusal("outcome_unknown", N_("The outcome must be won, lost or open."))
LANGUAGE_UNKNOWN: Final = Refusal(
    "language_unknown", N_("The language must be a code such as en, zh or fr, not “%(value)s”.")
)

# They count turns, and know of no lines: codes do not tell them from sentences about files, which have some of the same.
TEMPLATES: Final = frozenset(item.template for item in list(globals().values()) if isinstance(item, Refusal))
