"""Control tokens that message text spells: which ones there are, and which ones in a rendering are the
template's own.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.masking.layout import Spelled
from app.masking.sentinels import texts_in
from app.masking.tokenizer import ControlPatterns


def spelled_controls(messages: Sequence[Mapping[str, Any]], controls: ControlPatterns) -> list[Spelled]:
    """Every control token that a message spells, by message."""
    return [
        Spelled(place, text[start:end])
        for place, message in enumerate(messages)
        for key, value in message.items()
        if key not in ("role", "thinking")  # "thinking" repeats the reasoning
        for text in texts_in(value)
        for start, end in controls.forbidden_in(text, message["role"])
    ]


def template_controls(
    text: str, places: Mapping[str, Sequence[int]], breaker: str, controls: re.Pattern[str]
) -> list[tuple[int, int]]:
    """Control tokens in the rendering that no mark of message text stands in."""
    spelled = set(places.get(breaker, ()))
    borders = {place for mark, found in places.items() if mark != breaker for place in found}
    kept = []
    at = 0
    while (match := controls.search(text, at)) is not None:
        start, end = match.span()
        inside = range(start + 1, end)
        if not spelled.isdisjoint(inside):
            at = end
        elif not borders.isdisjoint(inside):
            at = start + 1
        else:
            kept.append((start, end))
            at = end
    return kept
