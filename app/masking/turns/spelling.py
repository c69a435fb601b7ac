"""Control tokens that message text spells: which ones there are,
and which ones in a rendering are the template's own.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.masking.tokenization.control_patterns import ControlPatterns
from app.masking.turns.layout import Spelled
from app.masking.turns.marks import Marking, texts_in


def spelled_controls(
    messages: Sequence[Mapping[str, Any]], controls: ControlPatterns, markings: Sequence[Marking]
) -> list[Spelled]:
    """Every control token that a message spells, by message.

    What the template reads in an answer (the end of its thinking, say)
    is not among them: the model writes it.
    """
    return [
        Spelled(place, text[start:end])
        for place, (message, marking) in enumerate(zip(messages, markings, strict=True))
        for key, value in message.items()
        if key not in ("role", "thinking")  # "thinking" repeats the reasoning
        for text in texts_in(value)
        for start, end in controls.forbidden_in(text, message["role"])
        if message["role"] != "assistant" or text[start:end] not in marking.left_whole
    ]


def template_controls(
    text: str,
    places: Mapping[str, Sequence[int]],
    breaker: str,
    controls: re.Pattern[str],
    foreign: Sequence[tuple[int, int]] = (),
) -> list[tuple[int, int]]:
    """Control tokens in the rendering that no mark of message text stands in, and that lie in no `foreign`
    range of text in which control tokens were left whole.
    """
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
        elif any(first <= start and end <= last for first, last in foreign):
            at = end
        else:
            kept.append((start, end))
            at = end
    return kept
