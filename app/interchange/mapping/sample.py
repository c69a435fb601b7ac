"""What a file holds, for the person who says what it means: its columns, its first records, the values of each column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from app.interchange.files.json_records import Record
from app.interchange.mapping.model import as_text
from app.interchange.mapping.suggesting import DEPTH, SUGGESTED_FROM, Suggestion, suggest
from app.interchange.sentences.problems import LineProblem, shown

RECORDS: Final = 5
LOOKED_AT: Final = 5_000
_VALUES: Final = 60
_COLUMNS: Final = 60
_CELL: Final = 120


@dataclass(frozen=True)
class Sample:
    """Of the first LOOKED_AT records. `values` are those of columns with few of them, the most frequent first;
    `inner` the keys of the objects that a column lists."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    values: Mapping[str, tuple[str, ...]]
    inner: Mapping[str, tuple[str, ...]]
    read: int
    suggestion: Suggestion | None = None
    problems: tuple[LineProblem, ...] = ()
    is_whole: bool = True  # nothing of the file was left out


@dataclass
class _Look:
    columns: dict[str, None] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    inner: dict[str, dict[str, None]] = field(default_factory=dict)
    wordy: set[str] = field(default_factory=set)

    def take(self, value: Any) -> None:
        """One more record."""
        row: dict[str, str] = {}
        self._flatten(value, "", row, 0)
        if len(self.rows) < RECORDS:
            self.rows.append(row)

    def _flatten(self, value: Any, path: str, row: dict[str, str], depth: int) -> None:
        if isinstance(value, Mapping) and depth < DEPTH:
            for key, item in value.items():
                self._flatten(item, f"{path}.{key}" if path else str(key), row, depth + 1)
            return
        if not path or (path not in self.columns and len(self.columns) >= _COLUMNS):
            return
        self.columns.setdefault(path)
        row[path] = shown(as_text(value), _CELL)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    for key, inner in item.items():
                        self.inner.setdefault(path, {}).setdefault(str(key))
                        self._count(f"{path}[].{key}", inner)
        else:
            self._count(path, value)

    def _count(self, path: str, value: Any) -> None:
        text = as_text(value).strip()
        if path in self.wordy:
            return
        counts = self.values.setdefault(path, Counter())
        counts[text] += 1
        if len(counts) > _VALUES or len(text) > _CELL:
            # Words, not names: no choice can be offered for them.
            del self.values[path]
            self.wordy.add(path)


def look_at(records: Iterable[Record | LineProblem]) -> Sample:
    """The sample of these records."""
    look, problems, first = _Look(), list[LineProblem](), list[Any]()
    read = 0
    records = iter(records)
    for record in islice(records, LOOKED_AT):
        if isinstance(record, LineProblem):
            problems.append(record)
            continue
        read += 1
        if len(first) < SUGGESTED_FROM:
            first.append(record.value)
        look.take(record.value)
    values = {
        path: tuple(value for value, _ in counts.most_common() if value)
        for path, counts in look.values.items()
    }
    inner = {path: tuple(keys) for path, keys in look.inner.items()}
    return Sample(
        tuple(look.columns),
        tuple(look.rows),
        values,
        inner,
        read,
        suggest(first),
        tuple(problems[:RECORDS]),
        is_whole=next(records, None) is None,
    )
