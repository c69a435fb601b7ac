"""Comparing pieces of renderings without ever cutting a control token in two."""

import re

_MARKER_LIKE = r"<[^<>\s]{1,48}>|\[/?[A-Z_]{1,24}\]"


class Comparison:
    """`controls` finds control tokens; `markers` also what looks like one but is ordinary text for this vocabulary,
    as `<|eot_id|>` is where the template came without its tokenizer.
    """

    def __init__(self, controls: re.Pattern[str]) -> None:
        self.controls = controls
        self.markers = re.compile(f"{controls.pattern}|{_MARKER_LIKE}")

    def shared(self, left: str, right: str) -> int:
        """The length of the common beginning that cuts no marker of either text in two."""
        shared = common_prefix(left, right)
        moved = True
        while moved:
            moved = False
            for text in (left, right):
                for match in self.markers.finditer(text):
                    if match.start() < shared < match.end():
                        shared, moved = match.start(), True
                    if match.start() >= shared:
                        break
        return shared

    def shared_end(self, left: str, right: str) -> int:
        """The length of the common end that cuts no marker of the left text in two."""
        shared = common_prefix(left[::-1], right[::-1])
        start = len(left) - shared
        for match in self.markers.finditer(left):
            if match.start() < start < match.end():
                return len(left) - match.end()
        return shared

    def same_marker(self, left: str, right: str) -> tuple[int, int] | None:
        """Where the marker ends that both begin with, white space aside."""
        here = self.markers.match(left, len(left) - len(left.lstrip()))
        there = self.markers.match(right, len(right) - len(right.lstrip()))
        if here is None or there is None or here.group() != there.group():
            return None
        return here.end(), there.end()


def common_prefix(left: str, right: str) -> int:
    """The length of the common beginning, found by halving."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
