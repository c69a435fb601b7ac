"""Records by a mapping into dialogues.

Rows of one dialogue may stand anywhere in the file and come in any order: they wait in a temporary database on the disk, so
that memory stays bounded however many there are.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NoReturn

from app.dialogue.reading import refuse_too_many
from app.dialogue.refusals import DialogueRefused
from app.dialogue.roles import Role
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.mapping.chat_log import read_chat
from app.interchange.mapping.model import DialogueMapping, as_text, value_at
from app.interchange.mapping.unread import Unread
from app.interchange.sentences import mapping as say
from app.interchange.sentences.problems import (
    LineNote,
    LineProblem,
    RecordRefused,
    Trouble,
    from_dialogue,
    shown,
)

Mapped = Record | LineProblem
_DIGITS = re.compile(r"\d+")
_WIDTH = 20


@dataclass(frozen=True)
class MappedRecord(Record):
    """A record of the messages layout that a mapping made, with what is to be known about it."""

    notes: tuple[LineNote, ...] = ()


def map_records(
    records: Iterable[Mapped], mapping: DialogueMapping, limits: ImportLimits, unread: Unread
) -> Iterator[Mapped]:
    """One record of the messages layout for each dialogue, or the problem that keeps it out. `unread` is shown every
    record that the mapping reads at all."""
    mapper = _Mapper(mapping, limits)
    wanted = _wanted(records, mapper, unread)
    if mapping.turns == "rows":
        yield from _gathered(wanted, mapper)
    elif mapping.turns == "pairs" and mapping.parent:
        yield from _chained(wanted, mapper)
    else:
        for record in wanted:
            yield record if isinstance(record, LineProblem) else mapper.whole(record)


def _wanted(records: Iterable[Mapped], mapper: _Mapper, unread: Unread) -> Iterator[Mapped]:
    for record in records:
        if isinstance(record, LineProblem):
            yield record
        elif mapper.mapping.is_wanted(record.value):
            unread.look_at(record.value)
            yield record


@dataclass(frozen=True)
class _Turn:
    line: int
    side: str
    text: str


class _Mapper:
    """One mapping at work."""

    def __init__(self, mapping: DialogueMapping, limits: ImportLimits) -> None:
        self.mapping = mapping
        self.limits = limits

    def whole(self, record: Record) -> Mapped:
        """A record that is a dialogue."""
        try:
            if self.mapping.turns == "pairs":
                turns = self.pair(record)
            elif self.mapping.turns == "text":
                turns = self._written(record)
            else:
                turns = self._listed(record)
            return self.dialogue(record.line, turns, self.labels(record.value))
        except RecordRefused as refusal:
            return refusal.as_problem()

    def pair(self, record: Record) -> list[_Turn]:
        """The turns of a question with its answer."""
        sides = (
            ("system", self.mapping.system),
            ("user", self.mapping.question),
            ("assistant", self.mapping.answer),
        )
        texts = [(side, as_text(value_at(record.value, path))) for side, path in sides if path]
        return [_Turn(record.line, side, text) for side, text in texts if text.strip() or side != "system"]

    def _listed(self, record: Record) -> list[_Turn]:
        items = value_at(record.value, self.mapping.field)
        if not isinstance(items, list):
            self.refuse(say.NO_LIST, record.line, field=shown(self.mapping.field))
        turns = []
        if system := as_text(value_at(record.value, self.mapping.system)) if self.mapping.system else "":
            turns.append(_Turn(record.line, "system", system))
        return turns + [
            _Turn(
                record.line,
                self.side(as_text(value_at(item, self.mapping.side)), record.line),
                self._text(item, record),
            )
            for item in items
        ]

    def _text(self, item: Any, record: Record) -> str:
        found = value_at(item, self.mapping.text)
        if isinstance(found, dict | list):
            self.refuse(say.NO_TEXT, record.line, field=shown(self.mapping.text))
        return as_text(found)

    def _written(self, record: Record) -> list[_Turn]:
        text = value_at(record.value, self.mapping.field)
        said = list(read_chat(enumerate(text.split("\n")))) if isinstance(text, str) else []
        if not said:
            self.refuse(say.NO_SPEAKERS, record.line, field=shown(self.mapping.field))
        return [_Turn(record.line, self.side(one.name, record.line), one.text) for one in said]

    def side(self, value: str, line: int) -> str:
        """Whose side a value is. Raises RecordRefused for one that nobody placed."""
        found = self.mapping.side_of(value)
        if found == "refuse":
            self.refuse(say.SIDE_UNKNOWN, line, value=shown(value))
        return found

    def labels(self, value: Any) -> dict[str, str]:
        """The labels of a record."""
        found = {label: as_text(value_at(value, column)) for label, column in self.mapping.labels.items()}
        return {label: text for label, text in found.items() if text}

    def dialogue(self, line: int, turns: list[_Turn], labels: dict[str, str]) -> MappedRecord:
        """The record of a dialogue: without what is left out, joined if that is wished. Raises RecordRefused."""
        kept = [turn for turn in turns if turn.side != "left_out" and turn.text.strip()]
        notes = []
        if left := sum(turn.side == "left_out" for turn in turns):
            notes.append(LineNote.of(say.LEFT_OUT, line, count=left))
        if empty := sum(turn.side != "left_out" and not turn.text.strip() for turn in turns):
            notes.append(LineNote.of(say.EMPTY_LEFT_OUT, line, count=empty))
        messages: list[dict[str, str]] = []
        lines: list[int] = []
        for turn in kept:
            if self.mapping.merge and messages and messages[-1]["role"] == turn.side:
                messages[-1]["content"] += f"\n{turn.text}"
            else:
                messages.append({"role": Role(turn.side).value, "content": turn.text})
                lines.append(turn.line)
        if not messages:
            self.refuse(say.NOTHING_LEFT, line)
        if joined := len(kept) - len(messages):
            notes.append(LineNote.of(say.JOINED, line, count=joined))
        return MappedRecord(line, {"messages": messages, **labels}, tuple(lines), tuple(notes))

    def refuse(self, trouble: Trouble, line: int, **values: Any) -> NoReturn:
        """Raises RecordRefused."""
        raise RecordRefused(trouble, line, **values)


_ROWS_TABLE = """
CREATE TABLE dialogue (id INTEGER PRIMARY KEY, name TEXT UNIQUE, labels TEXT, size INTEGER, count INTEGER, refused TEXT);
CREATE TABLE turn (dialogue INTEGER, place, line INTEGER, side TEXT, text TEXT);
"""


def _gathered(records: Iterable[Mapped], mapper: _Mapper) -> Iterator[Mapped]:
    """Rows by their dialogue, in order of the first row of each."""
    with closing(sqlite3.connect("")) as held:
        held.executescript(_ROWS_TABLE)
        rows = _Rows(held, mapper)
        for record in records:
            if isinstance(record, LineProblem):
                yield record
            elif (problem := rows.take(record)) is not None:
                yield problem
        yield from rows.dialogues()


class _Rows:
    def __init__(self, held: sqlite3.Connection, mapper: _Mapper) -> None:
        self._held, self._mapper = held, mapper

    def take(self, record: Record) -> LineProblem | None:
        """Keep a row until its dialogue is whole; or why that cannot be."""
        mapping = self._mapper.mapping
        name = as_text(value_at(record.value, mapping.conversation)) if mapping.conversation else "-"
        if not name.strip():
            return RecordRefused(
                say.NO_DIALOGUE, record.line, column=shown(mapping.conversation)
            ).as_problem()
        labels = json.dumps(self._mapper.labels(record.value), ensure_ascii=False)
        insert = "INSERT OR IGNORE INTO dialogue (name, labels, size, count) VALUES (?, ?, 0, 0)"
        self._held.execute(insert, (name, labels))
        number, size, count, refused = self._held.execute(
            "SELECT id, size, count, refused FROM dialogue WHERE name = ?", (name,)
        ).fetchone()
        if refused:
            return None
        try:
            side = self._mapper.side(as_text(value_at(record.value, mapping.side)), record.line)
            text = as_text(value_at(record.value, mapping.text))
            self._bound(size + len(text.encode()), count + 1, record.line)
        except RecordRefused as refusal:
            # One row that cannot be read leaves its dialogue out: a dialogue with a gap is another one.
            self._held.execute("UPDATE dialogue SET refused = 'yes' WHERE id = ?", (number,))
            return refusal.as_problem()
        place = _place(as_text(value_at(record.value, mapping.order))) if mapping.order else record.line
        self._held.execute(
            "INSERT INTO turn VALUES (?, ?, ?, ?, ?)", (number, place, record.line, side, text)
        )
        update = "UPDATE dialogue SET size = size + ?, count = count + 1 WHERE id = ?"
        self._held.execute(update, (len(text.encode()), number))
        return None

    def _bound(self, size: int, count: int, line: int) -> None:
        self._mapper.limits.refuse_too_long(size, line)
        try:
            refuse_too_many(count)
        except DialogueRefused as refused:
            raise from_dialogue(refused, line) from None

    def dialogues(self) -> Iterator[Mapped]:
        """Every dialogue that has all of its rows."""
        self._held.execute("CREATE INDEX turns ON turn (dialogue, place, line)")
        found = self._held.execute("SELECT id, labels FROM dialogue WHERE refused IS NULL ORDER BY id")
        for number, labels in found:
            rows = self._held.execute(
                "SELECT line, side, text FROM turn WHERE dialogue = ? ORDER BY place, line", (number,)
            )
            turns = [_Turn(*row) for row in rows]
            try:
                yield self._mapper.dialogue(min(turn.line for turn in turns), turns, json.loads(labels))
            except RecordRefused as refusal:
                yield refusal.as_problem()


def _place(value: str) -> float | str:
    """Numbers sort as numbers; in other texts, dates and times above all, the numbers in them do (9:05 before 10:00)."""
    try:
        return float(value)
    except ValueError:
        return _DIGITS.sub(lambda digits: digits.group().zfill(_WIDTH), value)


_LAST_ROWS = """
SELECT id FROM pair AS one WHERE NOT EXISTS (SELECT 1 FROM pair WHERE parent = one.id) ORDER BY line
"""
# Nothing leads from a last row up to them.
_ROWS_OF_RINGS = """
WITH RECURSIVE up(id, parent) AS (
    SELECT id, parent FROM pair AS one WHERE NOT EXISTS (SELECT 1 FROM pair WHERE parent = one.id)
    UNION SELECT pair.id, pair.parent FROM pair JOIN up ON pair.id = up.parent
)
SELECT line, id FROM pair WHERE id NOT IN (SELECT id FROM up) ORDER BY line
"""


def _chained(records: Iterable[Mapped], mapper: _Mapper) -> Iterator[Mapped]:
    """Rows that name the row before them: each last one gives a dialogue, from its first one on."""
    with closing(sqlite3.connect("")) as held:
        held.execute("CREATE TABLE pair (id TEXT PRIMARY KEY, parent TEXT, line INTEGER, value TEXT)")
        for record in records:
            if isinstance(record, LineProblem):
                yield record
                continue
            name, parent = (
                as_text(value_at(record.value, path)).strip()
                for path in (mapper.mapping.id, mapper.mapping.parent)
            )
            row = (name, parent, record.line, json.dumps(record.value, ensure_ascii=False))
            if not name or not held.execute("INSERT OR IGNORE INTO pair VALUES (?, ?, ?, ?)", row).rowcount:
                yield RecordRefused(say.BAD_ID, record.line, value=shown(name)).as_problem()
        held.execute("CREATE INDEX parents ON pair (parent)")
        for (name,) in held.execute(_LAST_ROWS):
            yield _chain(held, name, mapper)
        for line, name in held.execute(_ROWS_OF_RINGS):
            yield RecordRefused(say.RING, line, value=shown(name)).as_problem()


def _chain(held: sqlite3.Connection, last: str, mapper: _Mapper) -> Mapped:
    records: list[Record] = []
    size = 0
    name = last
    try:
        while name:
            row = held.execute("SELECT parent, line, value FROM pair WHERE id = ?", (name,)).fetchone()
            if row is None:
                mapper.refuse(say.NO_PARENT, records[-1].line, value=shown(name))
            children = held.execute("SELECT count(*) FROM pair WHERE parent = ?", (name,)).fetchone()[0]
            if children > 1:
                mapper.refuse(say.TWO_CHILDREN, records[-1].line, value=shown(name))
            records.append(Record(row[1], json.loads(row[2])))
            size += len(row[2])
            mapper.limits.refuse_too_long(size, row[1])
            refuse_too_many(2 * len(records))
            name = row[0]
        records.reverse()
        turns = [turn for record in records for turn in mapper.pair(record)]
        # One system prompt, the first row's.
        turns = [turn for place, turn in enumerate(turns) if turn.side != "system" or place == 0]
        return mapper.dialogue(records[0].line, turns, mapper.labels(records[0].value))
    except DialogueRefused as refused:
        return from_dialogue(refused, records[0].line).as_problem()
    except RecordRefused as refusal:
        return refusal.as_problem()
