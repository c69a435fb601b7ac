"""Which columns of a CSV file mean what. Two kinds of table are read:

one row per message        conversation_id, role, content [, train]; rows of a conversation stand together
one row per conversation   prompt, response [, input, system]
Both may have outcome, stage, objection, tags, language, source, product. Other names for a column are in
COLUMN_NAMES.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

from app.interchange import file_troubles as say
from app.interchange.formulas import restore
from app.interchange.problems import RecordRefused, shown

COLUMN_NAMES = {
    "conversation_id": ("conversation_id", "conversation", "dialogue_id", "session_id", "对话编号", "对话id"),
    "role": ("role", "speaker", "from", "角色"),
    "content": ("content", "text", "message", "value", "内容"),
    "train": ("train", "参与训练"),
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


def require_header(first_line: str) -> Header:
    header = get_header(first_line)
    if header is None:
        widest = max((_cells(first_line, delimiter) for delimiter in _DELIMITERS), key=len)
        raise RecordRefused(say.CSV_COLUMNS, 1, found=shown(", ".join(widest), 80))
    for column in header.columns:
        if column in COLUMN_NAMES and header.columns.count(column) > 1:
            raise RecordRefused(say.CSV_DUPLICATE_COLUMN, 1, column=column)
    return header


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _column(title: str) -> str:
    """Our name of a column, or its title in quotes, which no field of a record can be mistaken for."""
    name = restore(title).strip().lower()
    return _COLUMN_OF.get(name, f"“{shown(name)}”")
