"""What a message holds beside its text, piece by piece, and copies of messages with a mark in every piece.

A mark is put into a text and taken out of the rendering again. Where that gives the rendering without marks, character
by character, the places where the marks stood are where the pieces went, however they were escaped, ordered or quoted.
Numbers and true, false cannot hold a mark: they are looked for behind the last piece that can.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.dialogue.conversation import TEMPLATE_REASONING_FIELDS
from app.dialogue.roles import Role
from app.masking.turns.layout import HeldField

Path = tuple[str | int, ...]
_JSON_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[\[\]{},:]')
_THINKING = re.compile(r"</think(?:ing)?>")
_WORDS = re.compile(r"\S{1,16}")
_MARKER = re.compile(r"</?think(?:ing)?>")
_THOUGHTS = re.compile(rf"{_MARKER.pattern}|(?:(?!{_MARKER.pattern})\S){{1,16}}")
_MOST_WORDS = 256


@dataclass(frozen=True)
class Spot:
    """Where a mark goes: `at` code points into the text at `path`, or into its last key where `is_key`. Paths begin with
    the number of a message, or of a tool where `in_tools`.
    """

    path: Path
    at: int
    is_key: bool = False
    in_tools: bool = False


@dataclass(eq=False)
class Piece:
    """One thing that must be found: a text with a mark in all its `spots`, or a number (no spots) that stands behind
    the piece before it. `message` is None for the tools. `label` is how a person finds it in its call or tool, which
    is the one of this `number` and has the name `owner`.
    """

    message: int | None
    field: HeldField
    text: str
    spots: tuple[Spot, ...] = ()
    label: str = ""
    number: int = 0
    owner: str = ""


def pieces_of(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None) -> list[Piece]:
    """In the order in which they are written. What only joins messages (ids, the name of a result's tool, which its
    call says already) and the contents are not among them.
    """
    pieces: list[Piece] = []
    called: set[str] = set()
    for place, message in enumerate(messages):
        if len(message) == 2 and "content" in message:
            continue
        name = message.get("name")
        if isinstance(name, str) and name.strip() and not (message["role"] == Role.TOOL and name in called):
            pieces.append(_text(place, HeldField.NAME, name, (place, "name")))
        reasoning = _reasoning_of(place, message)
        if reasoning is not None:
            pieces.append(reasoning)
        calls = message.get("tool_calls")
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            pieces += _Call(place, number, call).pieces()
            called.add(_function_of(call).get("name", ""))
    for number, tool in enumerate(tools or ()):
        pieces += _tool_pieces(number, tool)
    return pieces


def words_of(place: int, text: str, *, thinks: bool) -> list[Piece]:
    """The text of a message word by word; long ones in several pieces, many joined. With `thinks` what stands before
    the end of thinking is reasoning; its markers are nobody's words.
    """
    ends = [match.end() for match in _THINKING.finditer(text)] if thinks else []
    border = max(ends, default=0)
    matches = (_THOUGHTS if thinks else _WORDS).finditer(text)
    found = [match.span() for match in matches if not (thinks and _MARKER.fullmatch(match.group()))]
    pieces = []
    for kind, spans in (
        (HeldField.REASONING, [span for span in found if span[1] <= border]),
        (HeldField.WORDS, [span for span in found if span[1] > border]),
    ):
        step = max(1, -(-len(spans) // _MOST_WORDS))
        for at in range(0, len(spans), step):
            (start, _), (_, end) = spans[at], spans[min(at + step, len(spans)) - 1]
            following = spans[at + step][0] if at + step < len(spans) else end
            spot = Spot((place, "content"), (start + end + 1) // 2)
            said = text[start:following]
            pieces.append(Piece(place, kind, _MARKER.sub("", said) if thinks else said, (spot,)))
    return pieces


def planted(tree: Sequence[Any], marks: Mapping[Spot, str]) -> list[Any]:
    """A copy of messages or tools with these marks in their texts."""
    texts: dict[Path, list[tuple[int, str]]] = {}
    keys: dict[Path, list[tuple[int, str]]] = {}
    for spot, mark in marks.items():
        (keys if spot.is_key else texts).setdefault(spot.path, []).append((spot.at, mark))
    touched = {path[:end] for path in (*texts, *keys) for end in range(len(path) + 1)}

    def copy(value: Any, path: Path) -> Any:
        if path not in touched:
            return value
        if isinstance(value, str):
            return _inserted(value, texts.get(path, ()))
        if isinstance(value, Mapping):
            return {
                _inserted(key, keys.get((*path, key), ())): copy(item, (*path, key))
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [copy(item, (*path, at)) for at, item in enumerate(value)]
        return value

    return [copy(item, (at,)) for at, item in enumerate(tree)]


def _inserted(text: str, marks: Iterable[tuple[int, str]]) -> str:
    for at, mark in sorted(marks, reverse=True):
        text = text[:at] + mark + text[at:]
    return text


def _middle(text: str) -> int:
    """Inside the text, for templates look at first and last characters, and trim."""
    core = text.strip()
    return len(text) - len(text.lstrip()) + (len(core) + 1) // 2


def _text(message: int | None, kind: HeldField, text: str, path: Path) -> Piece:
    return Piece(message, kind, text, (Spot(path, _middle(text)),))


def _reasoning_of(place: int, message: Mapping[str, Any]) -> Piece | None:
    """Templates read it under one of several names."""
    fields = [name for name in TEMPLATE_REASONING_FIELDS if str(message.get(name) or "").strip()]
    if not fields:
        return None
    text = message[fields[0]]
    spots = tuple(Spot((place, name), _middle(message[name])) for name in fields)
    return Piece(place, HeldField.REASONING, text, spots)


def _function_of(call: Any) -> Mapping[str, Any]:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    return function if isinstance(function, Mapping) else {}


class _Call:
    """The pieces of one call: its name, and every key and value of its arguments."""

    def __init__(self, place: int, number: int, call: Any) -> None:
        self._place, self._number = place, number
        self._function = _function_of(call)
        inner = isinstance(call, Mapping) and "function" in call
        self._path: Path = (place, "tool_calls", number, *(("function",) if inner else ()))
        name = self._function.get("name")
        self._name = name if isinstance(name, str) else ""

    def pieces(self) -> Iterator[Piece]:
        if self._name.strip():
            spot = Spot((*self._path, "name"), _middle(self._name))
            yield self._piece(HeldField.CALL, self._name, self._name, spot)
        arguments, path = self._function.get("arguments"), (*self._path, "arguments")
        if isinstance(arguments, str):
            yield from self._written(arguments, path)
        elif isinstance(arguments, Mapping):
            yield from self._values(arguments, path, "")

    def _piece(self, kind: HeldField, text: str, label: str, *spots: Spot) -> Piece:
        return Piece(self._place, kind, text, spots, label, self._number, self._name)

    def _values(self, value: Any, path: Path, label: str) -> Iterator[Piece]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                inner = f"{label}.{key}" if label else str(key)
                if str(key).strip():
                    spot = Spot((*path, key), _middle(key), is_key=True)
                    yield self._piece(HeldField.ARGUMENT, key, inner, spot)
                yield from self._values(item, (*path, key), inner)
        elif isinstance(value, list | tuple):
            for at, item in enumerate(value):
                yield from self._values(item, (*path, at), label)
        elif isinstance(value, str):
            if value.strip():
                yield self._piece(HeldField.ARGUMENT, value, label, Spot(path, _middle(value)))
        elif value is not None:
            yield self._piece(HeldField.ARGUMENT, json.dumps(value), label)

    def _written(self, arguments: str, path: Path) -> Iterator[Piece]:
        """Of arguments that are a text: JSON, as a rule."""
        try:
            is_object = isinstance(json.loads(arguments), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            if arguments.strip():
                spot = Spot(path, _middle(arguments))
                yield self._piece(HeldField.ARGUMENT, arguments, arguments.strip(), spot)
            return
        label = ""
        found = list(_JSON_PIECE.finditer(arguments))
        for match, following in zip(found, [*found[1:], None], strict=True):
            said = match.group()
            if said[0] == '"' and len(said) > 2:
                text = json.loads(said, strict=False)
                if following is not None and following.group() == ":":
                    label = text
                # right before the closing quote no escape can be cut in two
                yield self._piece(HeldField.ARGUMENT, text, label, Spot(path, match.end() - 1))
            elif said[0] in "-0123456789tf":
                yield self._piece(HeldField.ARGUMENT, said, label)


def _tool_pieces(number: int, tool: Any) -> Iterator[Piece]:
    """The name, the description, and of every parameter the name, the description and the words it may be."""
    inner = isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping)
    function: Any = tool["function"] if inner else tool
    if isinstance(function, Mapping):
        path: Path = (number, *(("function",) if inner else ()))
        name = function.get("name")
        yield from _Definition(number, name if isinstance(name, str) else "").pieces(function, path)


class _Definition:
    """The pieces of one tool."""

    def __init__(self, number: int, name: str) -> None:
        self._number, self._name = number, name

    def pieces(self, function: Mapping[str, Any], path: Path) -> Iterator[Piece]:
        yield from self._text(self._name, (*path, "name"), self._name)
        yield from self._text(function.get("description"), (*path, "description"), "description")
        yield from self._schema(function.get("parameters"), (*path, "parameters"), "")

    def _text(self, text: Any, path: Path, label: str) -> Iterator[Piece]:
        if isinstance(text, str) and text.strip():
            yield self._piece(text, label, Spot(path, _middle(text), in_tools=True))

    def _piece(self, text: str, label: str, *spots: Spot) -> Piece:
        return Piece(None, HeldField.TOOL, text, spots, label, self._number, self._name)

    def _schema(self, schema: Any, path: Path, label: str) -> Iterator[Piece]:
        if not isinstance(schema, Mapping):
            return
        properties, required = schema.get("properties"), schema.get("required")
        for name, inner in properties.items() if isinstance(properties, Mapping) else ():
            own, there = f"{label}.{name}" if label else str(name), (*path, "properties", name)
            if name.strip():
                # templates look the name up among those that are required
                named = [
                    Spot((*path, "required", at), _middle(name), in_tools=True)
                    for at, one in enumerate(required if isinstance(required, list) else ())
                    if one == name
                ]
                yield self._piece(name, own, Spot(there, _middle(name), is_key=True, in_tools=True), *named)
            if isinstance(inner, Mapping):
                yield from self._text(inner.get("description"), (*there, "description"), f"{own}.description")
                choices = inner.get("enum")
                for at, choice in enumerate(choices if isinstance(choices, list) else ()):
                    yield from self._text(choice, (*there, "enum", at), f"{own}.enum")
                yield from self._schema(inner, there, own)
                yield from self._schema(inner.get("items"), (*there, "items"), own)
