"""The mapping that the names in a file suggest; certain only where every name and every side is a known one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from app.dialogue.labels import LABELS
from app.dialogue.roles import Role, get_role
from app.interchange.mapping.chat_log import looks_like_chat, read_chat
from app.interchange.mapping.model import DialogueMapping, Side, as_text, value_at

_SIDE_NAMES: Final = (
    "role", "from", "author", "speaker", "side", "issender", "is_sender", "sender", "direction", "name", "nickname",
    "user", "角色", "说话人", "发送者", "发送人", "昵称",
)  # fmt: skip
_TEXT_NAMES: Final = (
    "content", "text", "value", "message", "msg", "body", "utterance", "strcontent", "内容", "消息", "消息内容", "文本",
)  # fmt: skip
_DIALOGUE_NAMES: Final = (
    "conversation_id", "conversation", "dialogue_id", "dialog_id", "dialogue", "session_id", "session", "chat_id",
    "thread_id", "ticket_id", "room_id", "talkerid", "talker", "chatroom", "对话编号", "对话id", "会话id", "会话编号", "会话",
)  # fmt: skip
_ORDER_NAMES: Final = (
    "turn", "order", "index", "position", "createtime", "create_time", "created_at", "timestamp", "time", "date",
    "strtime", "时间", "发送时间", "序号",
)  # fmt: skip
_QUESTION_NAMES: Final = (
    "instruction", "prompt", "question", "query", "ask", "q", "customer", "问题", "提问", "问", "客户问题", "客户提问", "客户", "顾客",
    "指令",
)  # fmt: skip
_ANSWER_NAMES: Final = (
    "output", "response", "completion", "answer", "reply", "a", "agent", "回答", "回复", "答", "客服回复", "客服", "销售回答", "销售回复",
    "销售", "话术", "输出",
)  # fmt: skip
_ID_NAMES: Final = ("id", "message_id", "row_id")
_PARENT_NAMES: Final = ("parent_id", "parent", "parentid", "reply_to")
_SIDES: Final = (Role.USER, Role.ASSISTANT, Role.SYSTEM)
# So deep below a record are its fields looked for, and in so many records at the beginning of a file.
DEPTH: Final = 4
SUGGESTED_FROM: Final = 50
_SORTS: Final = re.compile(r"(\d+(\.\d+)?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}.*)?)$")
_SHOWN_SIDES: Final = 200


@dataclass(frozen=True)
class Suggestion:
    """A mapping, and whether it may be used without asking: everything in it has a known name."""

    mapping: DialogueMapping
    certain: bool

    @property
    def spoken(self) -> str:
        """Its columns, short: data.turns (author, text)."""
        mapping = self.mapping
        if mapping.turns == "list":
            return f"{mapping.field} ({mapping.side}, {mapping.text})"
        if mapping.turns == "pairs":
            return ", ".join(filter(None, (mapping.id, mapping.parent, mapping.question, mapping.answer)))
        if mapping.turns == "text":
            return mapping.field
        return ", ".join(filter(None, (mapping.conversation, mapping.side, mapping.text)))


def suggest(records: Sequence[Any]) -> Suggestion | None:
    """For the first records of a file."""
    values = [record for record in records if isinstance(record, Mapping)]
    if not values:
        return None
    return _chain(values) or _list(values) or _rows(values) or _text(values) or _pairs(values)


def _chain(values: Sequence[Mapping[str, Any]]) -> Suggestion | None:
    names = list(values[0])
    found = {
        "id": _named(names, _ID_NAMES),
        "parent": _named(names, _PARENT_NAMES),
        "question": _named(names, _QUESTION_NAMES),
        "answer": _named(names, _ANSWER_NAMES),
    }
    if not all(found.values()):
        return None
    system = _named(names, ("system", "系统提示"))
    return Suggestion(_mapping(values, turns="pairs", system=system, **found), certain=True)


def _list(values: Sequence[Mapping[str, Any]]) -> Suggestion | None:
    paths = [
        path for path in _lists(values[0]) if all(isinstance(value_at(value, path), list) for value in values)
    ]
    for path in paths:
        items = [item for value in values for item in value_at(value, path) if isinstance(item, Mapping)]
        side, text = _turn_names(items)
        if side and text:
            sides, certain = _known_sides(as_text(value_at(item, side)) for item in items)
            mapping = _mapping(values, turns="list", field=path, side=side, text=text, sides=sides)
            return Suggestion(mapping, certain and len(paths) == 1)
    return None


def _rows(values: Sequence[Mapping[str, Any]]) -> Suggestion | None:
    side, text = _turn_names(values)
    if not side or not text:
        return None
    names = list(values[0])
    conversation = _named(names, _DIALOGUE_NAMES)
    order = _named(names, _ORDER_NAMES) if conversation else ""
    if not all(_SORTS.match(as_text(value.get(order))) for value in values):
        order = ""  # as they stand: 12/03/2026 and 02:15 PM sort as nobody means
    sides, certain = _known_sides(as_text(value[side]) for value in values if side in value)
    mapping = _mapping(
        values, turns="rows", conversation=conversation, order=order, side=side, text=text, sides=sides
    )
    # Without a column that tells dialogues apart, a list of nothing but turns is one dialogue.
    is_one = not conversation and set(names) <= {side, text, order}
    return Suggestion(mapping, certain and (bool(conversation) or is_one))


def _text(values: Sequence[Mapping[str, Any]]) -> Suggestion | None:
    for name, text in values[0].items():
        if isinstance(text, str) and looks_like_chat(text.split("\n")):
            names = (
                said.name
                for value in values
                if isinstance(value.get(name), str)
                for said in read_chat(enumerate(value[name].split("\n")))
            )
            sides, certain = _known_sides(names)
            return Suggestion(_mapping(values, turns="text", field=name, sides=sides), certain)
    return None


def _pairs(values: Sequence[Mapping[str, Any]]) -> Suggestion | None:
    names = list(values[0])
    question, answer = _named(names, _QUESTION_NAMES), _named(names, _ANSWER_NAMES)
    if not question or not answer:
        return None
    return Suggestion(_mapping(values, turns="pairs", question=question, answer=answer), certain=False)


def _mapping(values: Sequence[Mapping[str, Any]], **said: Any) -> DialogueMapping:
    read = {name for name in said.values() if isinstance(name, str)}
    labels = {
        label: name
        for name in values[0]
        if (label := name.strip().lower()) in LABELS and name not in read and isinstance(values[0][name], str)
    }
    return DialogueMapping(**said, labels=labels)


def _named(names: Sequence[str], known: Sequence[str]) -> str:
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    return next((by_lower[name] for name in known if name in by_lower), "")


def _turn_names(items: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What tells the side and what holds the words, in every item."""
    if not items:
        return "", ""
    common = [name for name in items[0] if all(name in item for item in items)]
    texts = [name for name in common if all(not isinstance(item[name], dict | list) for item in items)]
    text = _named(texts, _TEXT_NAMES)
    return _named([name for name in texts if name != text], _SIDE_NAMES), text


def _known_sides(values: Iterable[str]) -> tuple[dict[str, Side], bool]:
    """The sides of the values that are known, and whether all are, and there are both sides."""
    distinct = list(dict.fromkeys(value.strip() for value in values))
    sides = {value: role for value in distinct[:_SHOWN_SIDES] if (role := get_role(value)) in _SIDES}
    both = {Role.USER, Role.ASSISTANT} <= set(sides.values())
    return cast(dict[str, Side], sides), both and len(sides) == len(distinct)


def _lists(value: Any, path: str = "", depth: int = 0) -> list[str]:
    """Paths of the lists of objects in a record."""
    if not isinstance(value, Mapping) or depth > DEPTH:
        return []
    found = []
    for name, item in value.items():
        here = f"{path}.{name}" if path else str(name)
        if isinstance(item, list) and item and all(isinstance(one, Mapping) for one in item):
            if all(_turn_names(item)):
                found.append(here)
        else:
            found += _lists(item, here, depth + 1)
    return found


def is_chained(names: Iterable[str]) -> bool:
    """Whether records name the record before them, so that one alone is no dialogue."""
    lower = {str(name).strip().lower() for name in names}
    return bool(lower & set(_PARENT_NAMES)) and bool(lower & set(_ID_NAMES))
