"""LLaMA-Factory's dataset_info.json: which of its entries describes a file, and what that entry says.

Names and defaults are those of LLaMA-Factory 0.9 (data/README.md, data/parser.py): without `columns` the
standard ones are read, with it only those it names. Entries for preferences are refused, records with pictures by their line.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any, NoReturn

from app.dialogue.limits import MIB, spoken_size
from app.interchange.files.bytes_in import decode_utf8
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.records.column_map import ColumnMap
from app.interchange.records.layouts import Layout
from app.interchange.sentences import sources as say
from app.interchange.sentences.problems import RecordRefused, SourceRefused, Trouble, shown

MAX_BYTES = 4 * MIB
_SHOWN_NAMES = 8
_LAYOUTS: dict[str, Layout] = {"alpaca": "alpaca", "sharegpt": "sharegpt", "openai": "messages"}
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
_ALPACA_FIELDS = {**_ALPACA, "history": "history", "system": "system", "tools": "tools"}
_FOREIGN_COLUMNS = ("chosen", "rejected", "kto_tag")
# A record that has any is refused by its line; those beside it come in.
_MEDIA_COLUMNS = ("images", "videos", "audios")
# Everything that an entry may say; what concerns where the data lie is not ours.
_KEYS = (
    "file_name", "formatting", "ranking", "subset", "split", "folder", "num_samples", "columns", "tags", "hf_hub_url",
    "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name",
)  # fmt: skip
_COLUMNS = (*_ALPACA, "history", "system", "tools", "messages", *_MEDIA_COLUMNS, *_FOREIGN_COLUMNS)
LLAMAFACTORY_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
_ROLE_OF_TAG = {
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}


def read_dataset_info(data: bytes, *, filename: str, entry: str | None = None) -> ColumnMap:
    """What dataset_info.json says of the file: of the entry named, else of the one with its file name.

    Raises SourceRefused.
    """
    if len(data) > MAX_BYTES:
        raise SourceRefused(say.INFO_TOO_LARGE, limit=spoken_size(MAX_BYTES))
    try:
        info = StrictJson(ImportLimits()).parse(decode_utf8(data, 1), 1)
    except RecordRefused as refusal:
        reason = refusal.as_problem()
        raise SourceRefused(say.INFO_NOT_JSON, line=reason.line) from None
    if not isinstance(info, Mapping) or not info:
        raise SourceRefused(say.INFO_NO_ENTRIES)
    name = _choose(info, filename, entry)
    return _Entry(name, info[name]).read()


def _choose(info: Mapping[str, Any], filename: str, wanted: str | None) -> str:
    names = shown(", ".join(list(info)[:_SHOWN_NAMES]), 200)
    if wanted:
        if wanted not in info:
            raise SourceRefused(say.INFO_NO_SUCH_ENTRY, entry=shown(wanted), names=names)
        return wanted
    fitting = [name for name, entry in info.items() if _file_name(entry) == _base(filename)]
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        several = shown(", ".join(fitting[:_SHOWN_NAMES]), 200)
        raise SourceRefused(say.INFO_SEVERAL_FIT, file=shown(filename), names=several)
    if len(info) == 1:
        return next(iter(info))
    raise SourceRefused(say.INFO_NONE_FITS, file=shown(filename), names=names)


def _file_name(entry: Any) -> str | None:
    name = entry.get("file_name") if isinstance(entry, Mapping) else None
    return _base(name) if isinstance(name, str) else None


def _base(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name.lower()


class _Entry:
    """One entry of the file."""

    def __init__(self, name: str, value: Any) -> None:
        self._name = name
        if not isinstance(value, Mapping):
            self._refuse(say.INFO_NOT_AN_OBJECT, field=name)
        self._value: Mapping[str, Any] = value

    def read(self) -> ColumnMap:
        self._require_known("", self._value, _KEYS)
        formatting = self._value.get("formatting") or "alpaca"
        if not isinstance(formatting, str) or formatting not in _LAYOUTS:
            self._refuse(say.INFO_FORMATTING, found=shown(formatting))
        columns = self._texts("columns")
        for field, known in (("columns", _COLUMNS), ("tags", tuple(LLAMAFACTORY_TAGS))):
            self._require_known(f"{field}.", self._texts(field) or {}, known)
        foreign = next((name for name in _FOREIGN_COLUMNS if columns and columns.get(name)), None)
        if self._value.get("ranking") or foreign:
            self._refuse(say.INFO_NOT_DIALOGUES, field=foreign or "ranking")
        if formatting == "alpaca":
            named = _ALPACA if columns is None else columns
            mapped = {ours: named[key] for key, ours in _ALPACA_FIELDS.items() if key in named}
            return ColumnMap("alpaca", mapped | self._media(named))
        tags = self._texts("tags") or LLAMAFACTORY_TAGS
        layout = _LAYOUTS[formatting]
        ours = "messages" if layout == "messages" else "conversations"
        named = columns if columns is not None else {"messages": "conversations"}
        mapped = {ours: named["messages"]} if "messages" in named else {}
        mapped |= {field: named[field] for field in ("system", "tools") if field in named}
        mapped |= self._media(named)
        roles = {tags[tag]: role for tag, role in _ROLE_OF_TAG.items() if tag in tags}
        role_key, content_key = (tags.get(tag, LLAMAFACTORY_TAGS[tag]) for tag in ("role_tag", "content_tag"))
        return ColumnMap(layout, mapped, role_key, content_key, roles)

    def _media(self, columns: Mapping[str, str]) -> dict[str, str]:
        return {name: columns[name] for name in _MEDIA_COLUMNS if name in columns}

    def _require_known(self, prefix: str, found: Mapping[str, Any], known: tuple[str, ...]) -> None:
        """Refuses a key that is nearly one that exists: it would say nothing, and the data would be blamed."""
        for key in found:
            close = [] if key in known else get_close_matches(key, known, n=1, cutoff=0.6)
            if close and close[0] not in found:
                self._refuse(say.INFO_UNKNOWN_KEY, key=f"{prefix}{shown(key)}", meant=f"{prefix}{close[0]}")

    def _texts(self, field: str) -> dict[str, str] | None:
        """The object under `field` without its nulls; None where there is none."""
        value = self._value.get(field)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self._refuse(say.INFO_NOT_AN_OBJECT, field=field)
        for key, item in value.items():
            if item is not None and not isinstance(item, str):
                self._refuse(say.INFO_NOT_TEXT, field=f"{field}.{shown(key)}")
        return {key: item for key, item in value.items() if item}

    def _refuse(self, trouble: Trouble, **params: Any) -> NoReturn:
        raise SourceRefused(trouble, entry=shown(self._name), **params)
