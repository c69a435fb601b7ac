"""Control tokens as they are spelled in text: where they stand, and which of them a message may not hold."""

import re
from collections.abc import Iterable


def control_pattern(tokens: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the tokens, the longest first, as the tokenizer does; never matches when there is none."""
    longest_first = sorted(tokens, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


class ControlPatterns:
    """Finds control tokens in text; what is forbidden in a message depends on who speaks.

    The model itself may write the non-special ones (a thinking or tool-call marker),
    so an assistant's text may hold them.
    """

    def __init__(self, controls: frozenset[str], special: frozenset[str]) -> None:
        self.any = control_pattern(controls)
        self._forbidden = {True: control_pattern(special), False: self.any}
        self._first = {
            True: frozenset(token[0] for token in special),
            False: frozenset(token[0] for token in controls),
        }

    def forbidden_in(self, text: str, role: str) -> list[tuple[int, int]]:
        """Where `text`, said by `role`, spells a control token that must stay text."""
        spoken_by_model = role == "assistant"
        for first in self._first[spoken_by_model]:
            if first in text:
                return [match.span() for match in self._forbidden[spoken_by_model].finditer(text)]
        return []
