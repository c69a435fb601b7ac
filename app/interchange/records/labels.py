"""What is known about a conversation besides its messages. What cannot be understood as a label is left empty and
noted; what is understood and too long is refused, as everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.dialogue.conversation import Message
from app.dialogue.labels import LABELS, Outcome
from app.dialogue.language import detect_language, language_code
from app.dialogue.roles import Role
from app.interchange.files.strict_json import StrictJson
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import records as say
from app.interchange.sentences.problems import RecordRefused, shown

_OUTCOMES = {
    Outcome.WON.value: ("won", "win", "success", "closed won", "成交", "已成交", "赢单", "成单"),
    Outcome.LOST.value: ("lost", "lose", "loss", "failed", "closed lost", "丢单", "输单", "未成交", "流失"),
    Outcome.OPEN.value: ("open", "pending", "ongoing", "in progress", "进行中", "跟进中"),
}
_OUTCOME_OF = {name: outcome for outcome, names in _OUTCOMES.items() for name in names}
_TAG_SEPARATORS = re.compile("[,;|，；、]")
_CONTAINERS = ("metadata", "meta")


def read_labels(record: Mapping[str, Any], messages: list[Message], reading: Reading) -> dict[str, Any]:
    """The label fields, found in the record itself or in its `metadata`."""
    found: dict[str, Any] = {}
    for container in _CONTAINERS:
        inner = record.get(container)
        if isinstance(inner, Mapping):
            found |= {key: inner[key] for key in LABELS if key in inner}
            reading.not_kept.update(f"{container}.{shown(key)}" for key in inner if key not in LABELS)
        elif inner is not None:
            reading.not_kept.add(container)
    found |= {key: record[key] for key in LABELS if key in record}
    labels: dict[str, Any] = {
        key: _label(key, found.get(key), reading) for key in ("stage", "objection", "source", "product")
    }
    labels["outcome"] = _outcome(found.get("outcome"), reading)
    labels["tags"] = _tags(found.get("tags"), reading)
    if "language" in found:  # also when it is null: someone has said that it is unknown
        labels["language"] = _language(found["language"], reading)
    else:
        labels["language"] = detect_language(
            m["content"] for m in messages if m["role"] in (Role.USER, Role.ASSISTANT)
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
    code = language_code(value) if isinstance(value, str) else None
    if code is None:
        reading.note(say.LANGUAGE_UNKNOWN, value=shown(value))
    return code


def _label(key: str, value: Any, reading: Reading) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        reading.note(say.LABEL_NOT_KEPT, field=key)
        return None
    return value


def _tags(value: Any, reading: Reading) -> list[str]:
    if isinstance(value, str):
        value = _split_tags(value, reading)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        reading.note(say.TAGS_NOT_KEPT)
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
