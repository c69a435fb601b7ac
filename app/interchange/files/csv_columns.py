"""Which columns of a CSV file mean what. Two kinds of table are read:

one row per message        conversation_id, role, content [, train]; rows of a conversation stand together
one row per conversation   prompt, response [, input, system]
Both may have outcome, stage, objection, tags, language, source, product. Other names for a column are in
COLUMN_NAMES.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass

from app.interchange.files.formulas import restore
from app.interchange.sentences import files as say
from app.interchange.sentences import sources as say_of_source
from app.interchange.sentences.problems import RecordRefused, shown

COLUMN_NAMES = {
    "conversation_id": ("conversation_id", "conversation", "dialogue_id", "session_id", "对话编号", "对话id"),
    "role": ("role", "speaker", "from", "角色"),
    "content": ("content", "text", "message", "value", "内容"),
    "train": ("train", "training", "trainable", "参与训练"),
    "instruction": ("instruction", "prompt", "question", "问题", "提问", "指令"),
    "output": ("output", "response", "completion", "answer", "回答", "回复", "输出"),
    "input": ("input", "输入"),
    "system": ("system", "系统提示"),
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
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Header:
    delimiter: str
    columns: tuple[str, ...]

    @property
    def per_message(self) -> bool:
        return set(self.columns) >= _PER_MESSAGE


def get_header(first_line: str) -> Header | None:
    """The header with the delimiter that makes it readable; None when no delimiter does."""
    for delimiter in _DELIMITERS:
        columns = tuple(map(_column, _cells(first_line, delimiter)))
        if set(columns) >= _PER_MESSAGE or set(columns) >= _PER_CONVERSATION:
            return Header(delimiter, columns)
    return None


def require_header(first_line: str, train_field: str | None = None) -> Header:
    """`train_field` is a further name of the column that tells what is trained."""
    header = get_header(first_line)
    if header is None:
        raise RecordRefused(say.CSV_COLUMNS, 1, found=_widest(first_line))
    if train_field:
        flag = _column(train_field)
        columns = tuple("train" if column == flag else column for column in header.columns)
        header = Header(header.delimiter, columns)
    for column in header.columns:
        if column in COLUMN_NAMES and header.columns.count(column) > 1:
            raise RecordRefused(say.CSV_DUPLICATE_COLUMN, 1, column=column)
    return header


def require_mapped_header(first_line: str, mapped: Mapping[str, str]) -> Header:
    """The header of a table whose columns dataset_info.json names; `mapped` is our field -> its column.
    Those columns keep their own names, for the record is mapped later."""
    wanted = set(mapped.values())
    for delimiter in _DELIMITERS:
        titles = [restore(cell).strip() for cell in _cells(first_line, delimiter)]
        if titles and wanted & set(titles):
            return Header(delimiter, tuple(title if title in wanted else _column(title) for title in titles))
    raise RecordRefused(
        say_of_source.CSV_MAPPED_COLUMNS, 1, found=_widest(first_line), wanted=shown(", ".join(wanted), 80)
    )


def _widest(line: str) -> str:
    widest = max((_cells(line, delimiter) for delimiter in _DELIMITERS), key=len)
    return shown(", ".join(widest), 80)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _column(title: str) -> str:
    """Our name of a column, or its title in quotes, which no field of a record can be mistaken for."""
    name = restore(title).strip().lower()
    return _COLUMN_OF.get(name, f"“{shown(name)}”")
