"""What differs between two states of a conversation: turn by turn, word by word; labels and tools. Pure functions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, Literal

from app.dialogue.conversation import MESSAGE_FIELDS, Message
from app.dialogue.differences import Mark, merged
from app.dialogue.labels import LABELS

_BESIDE: Final = tuple(name for name in MESSAGE_FIELDS if name not in ("role", "content"))


@dataclass(frozen=True)
class FieldChange:
    """A field of a turn or a label before and after; None where there is no value."""

    name: str
    before: Any
    after: Any

    @property
    def words(self) -> list[tuple[str, Mark]]:
        """Both values as one text, JSON where they are no text."""
        old, new = (value if isinstance(value, str) else _spelt(value) for value in (self.before, self.after))
        return merged(old, new)


@dataclass(frozen=True)
class TurnChange:
    """One turn that was added, removed or edited. `number` counts from 1: in the later state, of a removed one in the earlier."""

    kind: Literal["added", "removed", "edited"]
    number: int
    role: str
    # The text with what went and what came; empty where an edit left the words alone.
    words: list[tuple[str, Mark]]
    # Flags and calls beside the text, of an edited turn.
    fields: list[FieldChange]


@dataclass(frozen=True)
class Comparison:
    """All that differs."""

    turns: list[TurnChange]
    labels: list[FieldChange]
    # The tools as JSON with what went and what came; empty when they are the same.
    tools: list[tuple[str, Mark]]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.turns or self.labels or self.tools)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """What leads from one snapshot of a conversation to the other."""
    old, new = (state.get("tools") or [] for state in (before, after))
    return Comparison(
        turns=list(_turns(before["messages"], after["messages"])),
        labels=_fields(LABELS, before, after),
        tools=merged(_spelt(old), _spelt(new)) if old != new else [],
    )


def _turns(before: Sequence[Message], after: Sequence[Message]) -> Iterator[TurnChange]:
    was, are = ([json.dumps(message, sort_keys=True) for message in side] for side in (before, after))
    for tag, start, end, other, other_end in SequenceMatcher(None, was, are, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from _between(before, range(start, end), after, range(other, other_end))


def _between(
    before: Sequence[Message], olds: range, after: Sequence[Message], news: range
) -> Iterator[TurnChange]:
    """A stretch in which no turn stayed as it was: those of one speaker, in order, are the same turn edited.

    Where there are as many turns as before, they keep their places, whoever speaks.
    """
    if len(olds) == len(news):
        yield from (_edited(before[old], after[new], new) for old, new in zip(olds, news, strict=True))
        return
    roles, other_roles = [before[n]["role"] for n in olds], [after[n]["role"] for n in news]
    matcher = SequenceMatcher(None, roles, other_roles, autojunk=False)
    for tag, start, end, other, other_end in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(olds[start:end], news[other:other_end], strict=True)
            yield from (_edited(before[old], after[new], new) for old, new in pairs)
            continue
        for place in olds[start:end]:
            message = before[place]
            yield TurnChange("removed", place + 1, message["role"], merged(message["content"], ""), [])
        for place in news[other:other_end]:
            message = after[place]
            yield TurnChange("added", place + 1, message["role"], merged("", message["content"]), [])


def _edited(old: Message, new: Message, place: int) -> TurnChange:
    words = merged(old["content"], new["content"]) if old["content"] != new["content"] else []
    return TurnChange("edited", place + 1, new["role"], words, _fields(("role", *_BESIDE), old, new))


def _fields(names: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    found = ((name, _value(before, name), _value(after, name)) for name in names)
    return [FieldChange(name, old, new) for name, old, new in found if old != new]


def _value(state: Mapping[str, Any], name: str) -> Any:
    """No tags and no tags given are the same."""
    value = state.get(name)
    return None if value in ("", []) else value


def _spelt(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) if value else ""
