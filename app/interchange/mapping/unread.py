"""What a mapping does not read of the records: nothing that somebody wrote down is left out unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.interchange.mapping.model import DialogueMapping
from app.interchange.sentences import mapping as say
from app.interchange.sentences.problems import LineNote, shown

_NAMES: Final = 100
_LONGEST: Final = 200
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})


class Unread:
    """Follows the records of one file and keeps the names of the fields, of records and of turns, that carry a value and
    have no place in the mapping: `mood`, `data.note`, `turns.tool_calls`."""

    def __init__(self, mapping: DialogueMapping) -> None:
        self._read = frozenset(mapping.paths)
        self._turns = mapping.field if mapping.turns == "list" else ""
        self._inner = frozenset((mapping.side, mapping.text))
        self._names: dict[str, None] = {}

    def look_at(self, value: Any) -> None:
        """One more record."""
        if isinstance(value, Mapping) and len(self._names) < _NAMES:
            self._look(value, "", self._read)

    def _look(self, value: Mapping[str, Any], inside: str, read: frozenset[str]) -> None:
        for key, item in value.items():
            path = f"{inside}{key}"
            if item in _NOTHING:
                continue
            if path == self._turns and isinstance(item, list):
                self._look_at_turns(item)
            elif path in read:
                continue
            elif isinstance(item, Mapping) and any(name.startswith(f"{path}.") for name in read):
                self._look(item, f"{path}.", read)
            else:
                self._names.setdefault(path)

    def _look_at_turns(self, turns: list[Any]) -> None:
        read = frozenset(f"{self._turns}.{name}" for name in self._inner)
        for turn in turns:
            if isinstance(turn, Mapping):
                self._look(turn, f"{self._turns}.", read)

    def note(self) -> LineNote | None:
        """What is to be said about them, if there are any."""
        if not self._names:
            return None
        return LineNote.of(say.NOT_READ, names=shown(", ".join(self._names), _LONGEST))
