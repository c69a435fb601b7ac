"""Tools as a person types them: JSON in a text, whose faults are named by line."""

from typing import Any

from app.core.errors import Invalid
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences.problems import RecordRefused


def typed_tools(text: str) -> Any:
    """What the text spells, None where nothing stands there; whether these are tools is for the reader of dialogues.

    Raises Invalid naming the line.
    """
    if not text.strip():
        return None
    try:
        return StrictJson(ImportLimits()).parse(text, 1)
    except RecordRefused as refusal:
        raise Invalid(refusal.as_problem().sentence, field="tools") from None
