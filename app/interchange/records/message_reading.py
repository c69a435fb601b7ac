"""One message of any supported format, brought into our shape. A message is exact or refused, never
repaired."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.dialogue.canonical import canonical_message
from app.dialogue.conversation import REASONING_FIELDS, Message
from app.dialogue.roles import FUNCTION_CALL, Role, get_role
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences import records as say
from app.interchange.sentences import sources as say_of_source
from app.interchange.sentences.problems import LineNote, RecordRefused, Trouble, shown

_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value")
# Axolotl calls its field as its config says, most often one of the first two.
_FLAG_KEYS = ("train", "training", "trainable", "loss")
_PART_FLAG_KEYS = ("train_detail", "training_detail")
_READ_OF_PARTS = ("type", "text", "train", "weight")
_OTHER_KEYS = ("name", "tool_calls", "tool_call_id", "function_call", "weight", *_FLAG_KEYS)
# Of OpenAI and ShareGPT; any other name that is understood is told once.
_USUAL_ROLES = frozenset(
    [
        "system",
        "developer",
        "user",
        "human",
        "assistant",
        "gpt",
        "tool",
        "function",
        "observation",
        "function_call",
    ]
)
_READ = frozenset((*_ROLE_KEYS, *_CONTENT_KEYS, *REASONING_FIELDS, *_OTHER_KEYS))


@dataclass
class Reading:
    """The record being read: where it stands, what may be noted about it.

    `train_field` is a further name of the train flag; `saw_train_field` becomes true where it stands.
    """

    line: int
    limits: ImportLimits
    train_field: str | None = None
    saw_train_field: bool = False
    notes: list[LineNote] = field(default_factory=list)
    not_kept: set[str] = field(default_factory=set)
    roles: dict[str, str] = field(
        default_factory=dict
    )  # names of roles that are not the usual ones, and ours

    def note(self, trouble: Trouble, **params: Any) -> None:
        self.notes.append(LineNote.of(trouble, params.pop("line", self.line), **params))

    def refuse(self, trouble: Trouble, **params: Any) -> NoReturn:
        raise RecordRefused(trouble, params.pop("line", self.line), **params)


def read_message(raw: Any, number: int, reading: Reading, line: int | None = None) -> Message:
    """The message under our names, for the reader of all conversations to check. `number` counts from 1; `line`
    where the message has a line of its own."""
    return _MessageReader(raw, number, reading, line or reading.line).read()


class _MessageReader:
    def __init__(self, raw: Any, number: int, reading: Reading, line: int) -> None:
        self._number = number
        self._reading = reading
        self._line = line
        if not isinstance(raw, Mapping):
            self._refuse(say.MESSAGE_NOT_OBJECT)
        self._raw: Mapping[str, Any] = raw

    def read(self) -> Message:
        role = self._role()
        message: dict[str, Any] = {key: self._raw.get(key) for key in ("name", "tool_call_id")}
        if role == FUNCTION_CALL:
            message |= {"role": Role.ASSISTANT.value, "content": "", "tool_calls": self._calls_in_text()}
        else:
            calls = self._tool_calls()
            message |= {"role": role, "tool_calls": calls, "content": self._content(optional=bool(calls))}
        message["reasoning_content"] = self._first(REASONING_FIELDS)
        message["train"] = self._train(role)
        self._reading.not_kept.update(
            f"messages.{shown(key)}"
            for key, value in self._raw.items()
            if key not in _READ and key != self._reading.train_field and value is not None
        )
        return canonical_message(message)

    def _refuse(self, trouble: Trouble, **params: Any) -> NoReturn:
        self._reading.refuse(trouble, line=self._line, message=self._number, **params)

    def _first(self, keys: tuple[str, ...]) -> Any:
        return next((self._raw[key] for key in keys if self._raw.get(key) is not None), None)

    def _role(self) -> str:
        name = self._first(_ROLE_KEYS)
        if name is None or name == "":
            self._refuse(say.NO_ROLE)
        role = get_role(name) if isinstance(name, str) else None
        if role is None:
            self._refuse(say.UNKNOWN_ROLE, role=shown(name))
        if name not in _USUAL_ROLES:
            self._reading.roles.setdefault(name.strip(), role)
        return role

    def _content(self, *, optional: bool) -> str:
        content = self._first(_CONTENT_KEYS)
        if content is None:
            if optional or self._first(REASONING_FIELDS):
                return ""
            self._refuse(say.NO_CONTENT)
        if isinstance(content, list):
            return "".join(map(self._part, content))
        if not isinstance(content, str):
            self._refuse(say.CONTENT_NOT_TEXT)
        return content

    def _part(self, part: Any) -> str:
        """OpenAI's content parts; chat templates write them one after the other, and so do we."""
        kind = part.get("type", "text") if isinstance(part, Mapping) else None
        if isinstance(kind, str) and kind != "text":
            self._refuse(say.CONTENT_PART, type=shown(kind, 40))
        if isinstance(part, Mapping) and kind == "text":
            self._reading.not_kept.update(
                f"messages.content.{shown(key)}"
                for key, value in part.items()
                if key not in _READ_OF_PARTS and value not in (None, "", [], {})
            )
            flag = next((key for key in ("train", "weight") if part.get(key) is not None), None)
            if flag:
                self._refuse(say_of_source.PART_FLAGS, field=f"content.{flag}")
            part = part.get("text")
        if not isinstance(part, str):
            self._refuse(say.CONTENT_NOT_TEXT)
        return part

    def _tool_calls(self) -> Any:
        single = self._raw.get("function_call")  # OpenAI before tools
        calls = self._raw.get("tool_calls")
        return [single] if calls is None and single is not None else calls

    def _calls_in_text(self) -> list[Any]:
        content = self._first(_CONTENT_KEYS)
        if isinstance(content, str):
            strict = StrictJson(self._reading.limits)
            try:
                content = strict.parse(content, self._line)
            except RecordRefused:
                self._refuse(say.BAD_FUNCTION_CALL)
        calls = content if isinstance(content, list) else [content]
        if not calls or not all(isinstance(c, Mapping) and ("name" in c or "function" in c) for c in calls):
            self._refuse(say.BAD_FUNCTION_CALL)
        return calls

    def _train(self, role: str) -> bool | None:
        """The flag under all its names, which must agree. Flags for parts of a text are refused, for they
        would be lost."""
        for key in _PART_FLAG_KEYS:
            if self._raw.get(key):
                self._refuse(say_of_source.PART_FLAGS, field=key)
        found = {key: flag for key in self._flag_keys() if (flag := self._flag(key)) is not None}
        if (weight := self._weight(role)) is not None:
            found["weight"] = weight
        if len(set(found.values())) > 1:
            self._refuse(say.TRAIN_CONFLICT, fields=shown(", ".join(found), 80))
        return next(iter(found.values()), None)

    def _flag_keys(self) -> tuple[str, ...]:
        extra = self._reading.train_field
        if extra is None or extra in _FLAG_KEYS:
            return _FLAG_KEYS
        return (*_FLAG_KEYS, extra)

    def _flag(self, key: str) -> bool | None:
        value = self._raw.get(key)
        if value is None:
            return None
        if key == self._reading.train_field:
            self._reading.saw_train_field = True
        if not isinstance(value, bool):
            self._refuse(say.BAD_TRAIN, field=shown(key), value=_spelled(value))
        return value

    def _weight(self, role: str) -> bool | None:
        weight = self._raw.get("weight")
        if weight is None:
            return None
        if isinstance(weight, bool | str | list | dict) or weight not in (0, 1):
            self._refuse(say.BAD_WEIGHT, value=_spelled(weight))
        if weight == 1 and role not in (Role.ASSISTANT, FUNCTION_CALL):
            self._refuse(say_of_source.WEIGHT_ROLE, role=role)
        return bool(weight)


def _spelled(value: Any) -> str:
    try:
        return shown(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError):
        return shown(value)
