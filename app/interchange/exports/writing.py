"""Conversations out: our own JSON Lines for everything, and ShareGPT, Alpaca and CSV where nothing is lost.

Whether something would be lost is not reasoned about but tried: what was written is read back by the
reader of this package, and what does not come back equal is no line; whoever writes reports it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from app.dialogue.conversation import Conversation, Message
from app.dialogue.json_values import canonical_json
from app.dialogue.labels import LABELS
from app.dialogue.roles import Role
from app.interchange.files.formulas import defuse
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.reading import ParsedConversation, read_conversations
from app.interchange.records.column_map import ColumnMap
from app.interchange.records.layouts import Layout, LayoutReader
from app.interchange.records.message_reading import Reading
from app.interchange.sentences.problems import RecordRefused

CSV_COLUMNS = ("conversation_id", "role", "content", "train", *LABELS)
# As ShareGPT and LLaMA-Factory call our roles.
SHAREGPT_ROLES = {
    Role.SYSTEM.value: "system",
    Role.USER.value: "human",
    Role.ASSISTANT.value: "gpt",
    Role.TOOL.value: "observation",
}
NO_LIMITS = ImportLimits(record_bytes=1 << 40)


def csv_head() -> bytes:
    """The byte order mark and the header row."""
    return b"\xef\xbb\xbf" + _csv_rows([CSV_COLUMNS])


def csv_rows(conversation: Conversation, number: int) -> bytes | None:
    """The rows of a canonical conversation; None where they would not read back equal."""
    rows = _csv_rows(_table(conversation, number))
    return rows if _read_csv(rows) == conversation else None


def messages_line(conversation: Conversation) -> bytes:
    """A canonical conversation as a line of our own JSON."""
    return json_line(conversation)


def sharegpt_line(conversation: Conversation) -> bytes | None:
    """A canonical conversation as ShareGPT; None where it would not read back equal."""
    return _line_that_reads_back(conversation, "sharegpt", _sharegpt)


def alpaca_line(conversation: Conversation) -> bytes | None:
    """A canonical conversation as Alpaca; None where it would not read back equal."""
    return _line_that_reads_back(conversation, "alpaca", _alpaca)


def json_line(value: Mapping[str, Any]) -> bytes:
    """Compact JSON and a line feed."""
    return canonical_json(value).encode() + b"\n"


def _line_that_reads_back(
    conversation: Conversation,
    layout: Layout,
    convert: Callable[[Conversation], dict[str, Any] | None],
) -> bytes | None:
    value = convert(conversation)
    return json_line(value) if value is not None and read_back(value, layout) == conversation else None


def read_back(
    value: Mapping[str, Any], layout: Layout, columns: ColumnMap | None = None
) -> Conversation | None:
    """What the reader of this package makes of a record; None where it refuses it."""
    reading = Reading(1, NO_LIMITS)
    try:
        if columns:
            value = columns.apply(value, reading)
        return LayoutReader(layout).read(Record(1, value), reading)
    except RecordRefused:
        return None


def _beside_messages(conversation: Conversation) -> dict[str, Any]:
    return {key: value for key, value in conversation.items() if key != "messages"}


def _sharegpt(conversation: Conversation) -> dict[str, Any]:
    return {
        "conversations": list(map(_sharegpt_message, conversation["messages"])),
        **_beside_messages(conversation),
    }


def _sharegpt_message(message: Message) -> dict[str, Any]:
    speaker, text = SHAREGPT_ROLES[message["role"]], message["content"]
    if "tool_calls" in message and not text:
        calls = [call.get("function") for call in message["tool_calls"]]
        speaker, text = "function_call", canonical_json(calls[0] if len(calls) == 1 else calls)
    rest = {key: value for key, value in message.items() if key not in ("role", "content", "tool_calls")}
    return {"from": speaker, "value": text, **rest}


def _alpaca(conversation: Conversation) -> dict[str, Any] | None:
    """None unless it is an optional system message, then questions and answers in turn. The way back
    tells the rest."""
    messages = list(conversation["messages"])
    system = messages.pop(0)["content"] if messages and messages[0]["role"] == Role.SYSTEM else ""
    pairs = list(zip(messages[::2], messages[1::2], strict=False))
    if not pairs or len(messages) % 2:
        return None
    turns = [[question["content"], answer["content"]] for question, answer in pairs]
    instruction, output = turns.pop()
    value = {"instruction": instruction, "input": "", "output": output, "system": system, "history": turns}
    return {**value, **_beside_messages(conversation)}


def _table(conversation: Conversation, number: int) -> Iterator[list[str]]:
    labels = [text_of_label(conversation, key) for key in LABELS]
    for message in conversation["messages"]:
        train = str(message["train"]).lower() if "train" in message else ""
        yield [str(number), message["role"], message["content"], train, *labels]


def text_of_label(conversation: Conversation, name: str) -> str:
    """A label as text, "" where unknown; tags as a JSON list."""
    value = conversation.get(name)
    if isinstance(value, list):
        return canonical_json(value) if value else ""
    return str(value or "")


def _csv_rows(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([defuse(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _read_csv(rows: bytes) -> Conversation | None:
    header = _csv_rows([CSV_COLUMNS])
    items = list(read_conversations(io.BytesIO(header + rows), format="csv", limits=NO_LIMITS))
    alone = len(items) == 1 and isinstance(items[0], ParsedConversation)
    return items[0].conversation if alone and isinstance(items[0], ParsedConversation) else None
