"""Which columns of a table mean what. Two kinds of table are read:

one row per message        conversation_id, role, content [, train]; rows of a conversation stand together
one row per conversation   prompt, response [, input, system], or messages: a list of messages as JSON in one cell
Both may have outcome, stage, objection, tags, language, source, product. Other names for a column are in
COLUMN_NAMES.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.interchange.files.formulas import restore
from app.interchange.sentences import files as say
from app.interchange.sentences import sources as say_of_source
from app.interchange.sentences.problems import RecordRefused, shown

COLUMN_NAMES = {
    "conversation_id": ("conversation_id", "conversation", "dialogue_id", "session_id", "对话编号", "对话id"),
    "role": ("role", "speaker", "from", "角色"),
    "content": ("content", "text", "message", "value", "内容"),
    "train": ("train", "training", "trainable", "参与训练"),
    "instruction": ("instruction", "prompt", "question", "query", "问题", "提问", "指令"),
    "output": ("output", "response", "completion", "answer", "回答", "回复", "输出"),
    "input": ("input", "输入"),
    "system": ("system", "系统提示"),
    "messages": ("messages",),
    "conversations": ("conversations",),
    "tools": ("tools",),
    "history": ("history",),
    "outcome": ("outcome", "结果"),
    "stage": ("stage", "阶段"),
    "objection": ("objection", "异议"),
    "tags": ("tags", "标签"),
    "language": ("language", "语言"),
    "source": ("source", "来源"),
    "product": ("product", "产品"),
}
_COLUMN_OF = {name: column for column, names in COLUMN_NAMES.items() for name in names}
_PER_MESSAGE = {"conversation_id", "role", "content"}
_PER_CONVERSATION = {"instruction", "output"}
_WHOLE = {"messages", "conversations"}  # a whole conversation in one cell, as JSON
_DELIMITERS = (",", ";", "\t", "|")
_NO_CELLS = re.compile(r"(sep=)?[\s,;|]*$")
_BELOW_A_TITLE = 5  # so many lines from the title on, one of which names the columns


@dataclass(frozen=True)
class Header:
    """Our name of each column."""

    columns: tuple[str, ...]

    @property
    def per_message(self) -> bool:
        """Whether a row holds one message."""
        return set(self.columns) >= _PER_MESSAGE

    @property
    def read(self) -> frozenset[int]:
        """The columns, from 0, whose names mean something."""
        return frozenset(place for place, name in enumerate(self.columns) if not name.startswith("“"))

    @property
    def layout(self) -> Literal["messages", "alpaca"]:
        """The layout of the records that the rows become."""
        return "messages" if self.per_message or _WHOLE & set(self.columns) else "alpaca"


def split_titles(first_line: str, wanted: Collection[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The delimiter of a table and the titles of its columns: the delimiter that makes the header known, else the
    `wanted` titles, else the most columns."""
    rows = [(delimiter, split_line(first_line, delimiter)) for delimiter in _DELIMITERS]
    for delimiter, titles in rows:
        if (wanted and set(wanted) & set(titles)) or (not wanted and get_header(titles)):
            return delimiter, titles
    return max(rows, key=lambda row: len(row[1]))


@dataclass(frozen=True)
class HeaderLine:
    """The line that names the columns of a table: its text, how many lines stand above it, and what is said there."""

    text: str
    skipped: int = 0
    above: str = ""


def find_header_line(lines: Sequence[str], wanted: Collection[str] = ()) -> HeaderLine:
    """The first of these lines that has cells, and is neither Excel's word on the delimiter (`sep=;`) nor a title: one cell,
    in a row of several, with a row of names not far below."""
    said = [(number, line) for number, line in enumerate(lines) if not _NO_CELLS.match(line)]
    if not said:
        return HeaderLine(lines[0] if lines else "")
    number, line = said[0]
    titles = split_titles(line, wanted)[1]
    named = [title for title in titles if title]
    is_title = (
        len(titles) > 1 and len(named) == 1 and not get_header(titles) and not set(wanted) & set(titles)
    )
    for below, other in said[1:_BELOW_A_TITLE] if is_title else ():
        if sum(map(bool, split_titles(other, wanted)[1])) > 1:
            return HeaderLine(other, below, named[0])
    return HeaderLine(line, number)


def get_header(titles: tuple[str, ...]) -> Header | None:
    """The meaning of the columns; None when they tell none."""
    columns = tuple(map(_column, titles))
    found = set(columns)
    if found >= _PER_MESSAGE or found >= _PER_CONVERSATION:
        columns = tuple(f"“{column}”" if column in _WHOLE else column for column in columns)
    return Header(columns) if found >= _PER_MESSAGE or found >= _PER_CONVERSATION or found & _WHOLE else None


def require_header(titles: tuple[str, ...], train_field: str | None = None) -> Header:
    """`train_field` is a further name of the column that tells what is trained. Raises RecordRefused."""
    header = get_header(titles)
    if header is None:
        raise RecordRefused(say.CSV_COLUMNS, 1, found=_listed(titles))
    if train_field:
        flag = _column(train_field)
        header = Header(tuple("train" if column == flag else column for column in header.columns))
    for column in header.columns:
        if column in COLUMN_NAMES and header.columns.count(column) > 1:
            raise RecordRefused(say.CSV_DUPLICATE_COLUMN, 1, column=column)
    return header


def require_mapped_header(titles: tuple[str, ...], mapped: Mapping[str, str]) -> Header:
    """The header of a table whose columns dataset_info.json names; `mapped` is our field -> its column.
    Those columns keep their own names, for the record is mapped later. Raises RecordRefused."""
    wanted = set(mapped.values())
    if not wanted & set(titles):
        listed = shown(", ".join(sorted(wanted)), 80)
        raise RecordRefused(say_of_source.CSV_MAPPED_COLUMNS, 1, found=_listed(titles), wanted=listed)
    return Header(tuple(title if title in wanted else _column(title) for title in titles))


def _listed(titles: tuple[str, ...]) -> str:
    return shown(", ".join(titles), 80)


def split_line(line: str, delimiter: str) -> tuple[str, ...]:
    """The cells of one line; none where it is no valid CSV."""
    try:
        cells = next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return ()
    return tuple(restore(cell).strip() for cell in cells)


def _column(title: str) -> str:
    """Our name of a column, or its title in quotes, which no field of a record can be mistaken for."""
    name = restore(title).strip().lower()
    return _COLUMN_OF.get(name, f"“{shown(name)}”")
