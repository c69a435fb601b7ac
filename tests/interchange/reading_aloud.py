"""Short ways to read bytes in a test: the conversations, the problem codes, the one problem there is."""

from __future__ import annotations

import io
import json
from typing import Any

from app.interchange import Item, LineProblem, ParsedConversation, read_conversations

DIALOGUE = {
    "messages": [
        {"role": "user", "content": "How much is it?"},
        {"role": "assistant", "content": "What will you use it for?"},
    ]
}
LINE = json.dumps(DIALOGUE).encode()


def read(data: bytes | str, **options: Any) -> list[Item]:
    raw = data.encode() if isinstance(data, str) else data
    return list(read_conversations(io.BytesIO(raw), **options))


def read_all(data: bytes | str, **options: Any) -> list[dict[str, Any]]:
    items = read(data, **options)
    assert not [item.said() for item in items if isinstance(item, LineProblem)]
    return [item.conversation for item in items if isinstance(item, ParsedConversation)]


def read_one(value: Any, **options: Any) -> dict[str, Any]:
    (conversation,) = read_all(json.dumps(value), **options)
    return conversation


def notes_of(value: Any, **options: Any) -> list[str]:
    (item,) = read(json.dumps(value), **options)
    assert isinstance(item, ParsedConversation)
    return [note.code for note in item.notes]


def problems(data: bytes | str, **options: Any) -> list[tuple[int, str]]:
    return [(item.line, item.code) for item in read(data, **options) if isinstance(item, LineProblem)]


def the_problem(data: bytes | str, **options: Any) -> LineProblem:
    (item,) = (item for item in read(data, **options) if isinstance(item, LineProblem))
    assert "%(" not in item.said()
    return item


def refusal_of(value: Any, **options: Any) -> LineProblem:
    return the_problem(json.dumps(value), **options)
