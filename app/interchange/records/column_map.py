"""How the columns and tags of a foreign file map to a record that the layouts can read.

The meaning is LLaMA-Factory's (its data/README and data/parser.py): with a `columns` object only the
columns it names are read, and the first message wins over a system column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.interchange.records.layouts import RECORD_FIELDS, Layout
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import sources as say
from app.interchange.sentences.problems import shown

_MESSAGE_NAMES = ("role", "from", "content", "value")


@dataclass(frozen=True)
class ColumnMap:
    """`columns`: our field -> their column. `roles`: their tag -> a role name of ours."""

    layout: Layout
    columns: Mapping[str, str]
    role_key: str = "from"
    content_key: str = "value"
    roles: Mapping[str, str] = field(default_factory=dict)

    @property
    def main(self) -> str:
        """The field without which a record is none."""
        return {"messages": "messages", "sharegpt": "conversations", "alpaca": "instruction"}[self.layout]

    def apply(self, value: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
        """The record under our names; what the map leaves unread is remembered in `reading`."""
        if self.main not in self.columns or self.columns[self.main] not in value:
            column = self.columns.get(self.main, self.main)
            reading.refuse(say.COLUMN_ABSENT, column=shown(column))
        found = {ours: value[theirs] for ours, theirs in self.columns.items() if theirs in value}
        theirs = set(self.columns.values())
        rest = {key: item for key, item in value.items() if key not in theirs}
        hidden = [key for key in rest if key in RECORD_FIELDS]
        reading.not_kept.update(shown(key) for key in hidden if rest[key] not in (None, "", []))
        kept = {key: item for key, item in rest.items() if key not in hidden}
        if self.layout != "alpaca":
            found[self.main] = self._messages(found[self.main])
            if self._begins_with_system(found[self.main]) and found.pop("system", None):
                reading.not_kept.add(shown(self.columns["system"]))
        return {**kept, **found}

    def _messages(self, items: Any) -> Any:
        return [self._message(item) for item in items] if isinstance(items, list) else items

    def _message(self, item: Any) -> Any:
        if not isinstance(item, Mapping):
            return item
        rest = {
            key: value
            for key, value in item.items()
            if key not in (self.role_key, self.content_key, *_MESSAGE_NAMES)
        }
        role = item.get(self.role_key)
        named = self.roles.get(role, role) if isinstance(role, str) else role
        return {"role": named, "content": item.get(self.content_key), **rest}

    def _begins_with_system(self, messages: Any) -> bool:
        first = messages[0] if isinstance(messages, list) and messages else None
        return isinstance(first, Mapping) and first.get("role") == "system"
