"""The three layouts a record can have (messages, ShareGPT, Alpaca) and how each becomes a conversation.

messages   {"messages": [{"role", "content", …}], "tools"}            OpenAI, Axolotl, TRL
           {"prompt": [messages], "completion": [messages]}           TRL; only the completion is trained
sharegpt   {"conversations": [{"from", "value"}], "system", "tools"}  ShareGPT, LLaMA-Factory
alpaca     {"instruction", "input", "output", "system", "history": [[question, answer], …]}
           also prompt/question/query and response/completion/answer instead of instruction and output
Lists may stand as JSON in a text, as tables hold them; a bare list of messages is a dialogue too.
Both spellings of a message (role/content, from/value) are read in both of the first two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn

from app.dialogue.conversation import Conversation, Message
from app.dialogue.labels import LABELS
from app.dialogue.reading import read_conversation, refuse_too_many
from app.dialogue.refusals import TOOLS_NOT_LIST, DialogueRefused
from app.dialogue.roles import Role
from app.interchange.files.json_records import Record
from app.interchange.files.strict_json import StrictJson
from app.interchange.records.labels import read_labels
from app.interchange.records.message_reading import Reading, read_message
from app.interchange.records.turn_order import note_roles, note_turns
from app.interchange.sentences import records as say
from app.interchange.sentences.problems import RecordRefused, from_dialogue, shown

Layout = Literal["messages", "sharegpt", "alpaca"]

_MESSAGES_KEYS = ("messages",)
_SHAREGPT_KEYS = ("conversations", "conversation")
_INSTRUCTION_KEYS = ("instruction", "prompt", "question", "query")
_OUTPUT_KEYS = ("output", "response", "completion", "answer")
RECORD_FIELDS = (
    *_MESSAGES_KEYS,
    *_SHAREGPT_KEYS,
    *_INSTRUCTION_KEYS,
    *_OUTPUT_KEYS,
    "input",
    "history",
    "system",
    "tools",
)
# What a text may refer to as `<image>`, so that it says less without them.
MEDIA_FIELDS = ("images", "image", "videos", "video", "audios", "audio")
_TOOLS_KEYS = ("tools", "functions")  # OpenAI called them functions first
_MAIN_FIELD = {"messages": "messages", "sharegpt": "conversations", "alpaca": "instruction"}


def get_layout(record: Mapping[str, Any]) -> Layout | None:
    """The layout that the field names tell; None when they tell none."""
    if any(key in record for key in _MESSAGES_KEYS) or _is_prompt_and_completion(record):
        return "messages"
    if any(key in record for key in _SHAREGPT_KEYS):
        return "sharegpt"
    if any(key in record for key in _INSTRUCTION_KEYS) and any(key in record for key in _OUTPUT_KEYS):
        return "alpaca"
    return "alpaca" if "instruction" in record else None


def _is_prompt_and_completion(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("prompt"), list) and isinstance(record.get("completion"), list)


def as_object(value: Any) -> Any:
    """A dialogue that stands as a bare list of messages, under the name of the messages layout; any other value as it is."""
    is_dialogue = isinstance(value, list) and bool(value) and all(map(_is_message, value))
    return {"messages": value} if is_dialogue else value


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and (
        {"role", "content"} <= value.keys() or {"from", "value"} <= value.keys()
    )


class LayoutReader:
    """Turns the records of one file into conversations; the first record it understands sets the layout."""

    def __init__(self, layout: Layout | None) -> None:
        self._chosen = layout is not None
        self.layout = layout
        self._told_roles: set[str] = set()

    def read(self, record: Record, reading: Reading) -> Conversation:
        """The canonical conversation, notes in `reading`. Raises RecordRefused."""
        value = record.value
        if not isinstance(value, Mapping):
            reading.refuse(say.NOT_AN_OBJECT)
        layout = self._layout_of(value, reading)
        for name in MEDIA_FIELDS:
            if value.get(name):
                reading.refuse(say.MEDIA, field=name)
        messages = _MESSAGES_OF[layout](value, record, reading)
        self._check(messages, record, reading)
        labels = read_labels(value, messages, reading)
        tools = _tools(value, reading)
        if reading.not_kept:
            fields = sorted(reading.not_kept)
            reading.note(say.FIELDS_NOT_KEPT, fields=shown(", ".join(fields), 200))
        try:
            return read_conversation({"messages": messages, "tools": tools, **labels})
        except DialogueRefused as refused:
            raise from_dialogue(refused, _line_of(refused, record)) from None

    def _layout_of(self, value: Mapping[str, Any], reading: Reading) -> Layout:
        found = get_layout(value)
        expected = self.layout or found
        if expected is None:
            _refuse_unknown(value, reading)
        if found != expected:
            if self._chosen:
                reading.refuse(say.WRONG_LAYOUT, expected=expected, field=_MAIN_FIELD[expected])
            if found is None:
                _refuse_unknown(value, reading)
            reading.refuse(say.MIXED_LAYOUTS, found=found, expected=expected)
        self.layout = expected
        return expected

    def _check(self, messages: list[Message], record: Record, reading: Reading) -> None:
        if not any(message["content"].strip() or "tool_calls" in message for message in messages):
            reading.refuse(say.EMPTY_DIALOGUE)
        for number, message in enumerate(messages, 1):
            if not message["content"].strip() and "tool_calls" not in message:
                reading.note(say.EMPTY_MESSAGE, message=number)
        if not any(message["role"] == Role.ASSISTANT for message in messages):
            reading.note(say.NO_ASSISTANT)
        note_roles(
            {name: role for name, role in reading.roles.items() if name not in self._told_roles}, reading
        )
        self._told_roles.update(reading.roles)
        note_turns(messages, record.message_lines, reading)


def _refuse_unknown(value: Mapping[str, Any], reading: Reading) -> NoReturn:
    if ("role" in value and "content" in value) or ("from" in value and "value" in value):
        reading.refuse(say.BARE_MESSAGE)
    reading.refuse(say.UNKNOWN_LAYOUT, found=shown(", ".join(map(str, value)) or "{}", 80))


def _from_messages(value: Mapping[str, Any], record: Record, reading: Reading) -> list[Message]:
    if "messages" not in value:
        return _from_prompt_and_completion(value, record, reading)
    _note_unread(value, (*_MESSAGES_KEYS, "system"), reading)
    messages = _message_list(value["messages"], "messages", record, reading)
    return _system_message(value, reading) + messages


def _from_prompt_and_completion(value: Mapping[str, Any], record: Record, reading: Reading) -> list[Message]:
    _note_unread(value, ("prompt", "completion"), reading)
    prompt = value["prompt"]
    messages = _message_list([*prompt, *value["completion"]], "prompt", record, reading)
    for place, message in enumerate(messages):
        completes = place >= len(prompt)
        if completes != (message["role"] == Role.ASSISTANT):
            message.setdefault("train", completes)
    return messages


def _from_sharegpt(value: Mapping[str, Any], record: Record, reading: Reading) -> list[Message]:
    key = next(key for key in _SHAREGPT_KEYS if key in value)
    _note_unread(value, (key, "system"), reading)
    messages = _message_list(value[key], key, record, reading)
    return _system_message(value, reading) + messages


def _message_list(items: Any, field: str, record: Record, reading: Reading) -> list[Message]:
    items = _parsed(items, reading)
    if not isinstance(items, list):
        reading.refuse(say.MESSAGES_NOT_LIST, field=field)
    _limit(len(items), reading)
    lines = record.message_lines or (record.line,) * len(items)
    return [
        read_message(item, number, reading, line)
        for number, (item, line) in enumerate(zip(items, lines, strict=True), 1)
    ]


def _from_alpaca(value: Mapping[str, Any], record: Record, reading: Reading) -> list[Message]:
    instruction_key = next((key for key in _INSTRUCTION_KEYS if value.get(key) is not None), "instruction")
    output_key = next((key for key in _OUTPUT_KEYS if value.get(key) is not None), "output")
    _note_unread(value, (instruction_key, output_key, "input", "history", "system"), reading)
    instruction = _alpaca_text(value, instruction_key, reading)
    details = _alpaca_text(value, "input", reading)
    question = f"{instruction}\n{details}" if instruction and details else instruction or details
    messages = _system_message(value, reading)
    for asked, answered in _history(value.get("history"), reading):
        messages += [_said(Role.USER, asked), _said(Role.ASSISTANT, answered)]
    if question:
        messages.append(_said(Role.USER, question))
    if answer := _alpaca_text(value, output_key, reading):
        messages.append(_said(Role.ASSISTANT, answer))
    _limit(len(messages), reading)
    return messages


def _history(pairs: Any, reading: Reading) -> list[tuple[str, str]]:
    pairs = _parsed(pairs, reading)
    if pairs is None or pairs == "":
        return []
    if not isinstance(pairs, list):
        reading.refuse(say.ALPACA_HISTORY)
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            reading.refuse(say.ALPACA_HISTORY)
    return [(asked, answered) for asked, answered in pairs]


def _alpaca_text(value: Mapping[str, Any], key: str, reading: Reading) -> str:
    text = value.get(key)
    if text is not None and not isinstance(text, str):
        reading.refuse(say.ALPACA_FIELD, field=key)
    return text or ""


def _system_message(value: Mapping[str, Any], reading: Reading) -> list[Message]:
    text = _alpaca_text(value, "system", reading)
    return [_said(Role.SYSTEM, text)] if text else []


def _said(role: Role, text: str) -> Message:
    return {"role": role.value, "content": text}


def _limit(count: int, reading: Reading) -> None:
    try:
        refuse_too_many(count)
    except DialogueRefused as refused:
        raise from_dialogue(refused, reading.line) from None


def _parsed(value: Any, reading: Reading) -> Any:
    """A list that stands as JSON in a text; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    return StrictJson(reading.limits).parse(value, reading.line)


def _tools(value: Mapping[str, Any], reading: Reading) -> Any:
    """The tools of the record: a list, or (LLaMA-Factory, Arrow) one written as JSON in a text."""
    tools = next((value[key] for key in _TOOLS_KEYS if value.get(key) is not None), None)
    if not isinstance(tools, str):
        return tools
    if not tools.strip():
        return None
    try:
        return StrictJson(reading.limits).parse(tools, reading.line)
    except RecordRefused:
        raise from_dialogue(DialogueRefused(TOOLS_NOT_LIST, "tools"), reading.line) from None


def _line_of(refused: DialogueRefused, record: Record) -> int:
    """Where it stands: messages of a table have lines of their own."""
    turn = refused.sentence.values.get("turn")
    lines = record.message_lines
    return lines[turn - 1] if isinstance(turn, int) and lines and turn <= len(lines) else record.line


def _note_unread(value: Mapping[str, Any], read: tuple[str, ...], reading: Reading) -> None:
    """Remember what carries a value and has no place in a conversation, so that nothing disappears
    silently."""
    known = {*read, *_TOOLS_KEYS, *MEDIA_FIELDS, *LABELS, "metadata", "meta"}
    reading.not_kept.update(
        shown(key) for key, item in value.items() if key not in known and item not in (None, "", [], {})
    )


_MESSAGES_OF: dict[Layout, Callable[[Mapping[str, Any], Record, Reading], list[Message]]] = {
    "messages": _from_messages,
    "sharegpt": _from_sharegpt,
    "alpaca": _from_alpaca,
}
