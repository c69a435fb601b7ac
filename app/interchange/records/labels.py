"""What is known about a conversation besides its messages. Labels never keep a conversation out: what
cannot be understood is left empty and noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.dialogue.canonical import LABEL_FIELDS
from app.dialogue.language import detect_language
from app.interchange.files.strict_json import StrictJson
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import records as say
from app.interchange.sentences.problems import RecordRefused, shown

_OUTCOMES = {
    "won": ("won", "win", "success", "closed won", "成交", "已成交", "赢单", "成单"),
    "lost": ("lost", "lose", "loss", "failed", "closed lost", "丢单", "输单", "未成交", "流失"),
    "open": ("open", "pending", "ongoing", "in progress", "进行中", "跟进中"),
}
_OUTCOME_OF = {name: outcome for outcome, names in _OUTCOMES.items() for name in names}
_LANGUAGES = {
    "en": ("en", "eng", "english", "英文", "英语"),
    "zh": ("zh", "cn", "zho", "chi", "chinese", "中文", "汉语", "简体中文"),
}
_LANGUAGE_OF = {name: language for language, names in _LANGUAGES.items() for name in names}
_TAG_SEPARATORS = re.compile("[,;|，；、]")
_CONTAINERS = ("metadata", "meta")


def read_labels(
    record: Mapping[str, Any], messages: list[dict[str, Any]], reading: Reading
) -> dict[str, Any]:
    """The label fields, found in the record itself or in its `metadata`."""
    found: dict[str, Any] = {}
    for container in _CONTAINERS:
        inner = record.get(container)
        if isinstance(inner, Mapping):
            found |= {key: inner[key] for key in LABEL_FIELDS if key in inner}
            reading.not_kept.update(f"{container}.{shown(key)}" for key in inner if key not in LABEL_FIELDS)
        elif inner is not None:
            reading.not_kept.add(container)
    found |= {key: record[key] for key in LABEL_FIELDS if key in record}
    labels: dict[str, Any] = {
        key: _label(key, found.get(key), reading) for key in ("stage", "objection", "source", "product")
    }
    labels["outcome"] = _outcome(found.get("outcome"), reading)
    labels["tags"] = _tags(found.get("tags"), reading)
    if "language" in found:  # also when it is null: someone has said that it is unknown
        labels["language"] = _language(found["language"], reading)
    else:
        labels["language"] = detect_language(
            m["content"] for m in messages if m["role"] in ("user", "assistant")
        )
    return labels


def _outcome(value: Any, reading: Reading) -> str | None:
    if value is None or value == "":
        return None
    name = value.strip().lower().replace("_", " ").replace("-", " ") if isinstance(value, str) else ""
    if name not in _OUTCOME_OF:
        reading.note(say.OUTCOME_UNKNOWN, value=shown(value))
    return _OUTCOME_OF.get(name)


def _language(value: Any, reading: Reading) -> str | None:
    if value is None or value == "":
        return None
    name = re.split("[-_]", value.strip().lower())[0] if isinstance(value, str) else ""
    if name not in _LANGUAGE_OF:
        reading.note(say.LANGUAGE_UNKNOWN, value=shown(value))
    return _LANGUAGE_OF.get(name)


def _label(key: str, value: Any, reading: Reading) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > reading.limits.label_chars:
        reading.note(say.LABEL_NOT_KEPT, field=key, limit=reading.limits.label_chars)
        return None
    return value


def _tags(value: Any, reading: Reading) -> list[str]:
    if isinstance(value, str):
        value = _split_tags(value, reading)
    if value is None:
        return []
    limits = reading.limits
    good = isinstance(value, list) and len(value) <= limits.tags
    if not good or not all(isinstance(tag, str) and len(tag) <= limits.label_chars for tag in value):
        reading.note(say.TAGS_NOT_KEPT, count=limits.tags, limit=limits.label_chars)
        return []
    return list(value)


def _split_tags(text: str, reading: Reading) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            value = StrictJson(reading.limits).parse(text, reading.line)
        except RecordRefused:
            value = None
        if isinstance(value, list):
            return value
    return [tag.strip() for tag in _TAG_SEPARATORS.split(text)]
