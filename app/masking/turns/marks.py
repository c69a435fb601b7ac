"""Invisible marks inside message text that tell, after rendering,
which characters of the rendering were message text.

A mark is one private-use code point that occurs nowhere in the conversation or the template.
Removing all marks from the marked rendering must give the plain rendering, character by character;
otherwise the marks changed what was rendered.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.dialogue.conversation import TEMPLATE_REASONING_FIELDS
from app.masking.tokenization.control_patterns import ControlPatterns

_PLANES = ((0xF0000, 0xFFFFE), (0x100000, 0x10FFF0))
_AFTER_THINKING = re.compile(r"</think(?:ing)?>\s*")


class Placement(Enum):
    """Where in a text its two marks stand: some templates look at the first or last characters, or at
    emptiness.
    """

    OUTSIDE = "outside"
    END_OUTSIDE = "end outside"
    BORDERS = "borders"
    ONE_INSIDE = "one inside"
    MIDDLE = "middle"
    END_ONLY = "end only"
    NONE = "none"


@dataclass(frozen=True)
class Marking:
    """How one message is marked: where in its text, whether in its last tool call and around its reasoning too,
    and which control tokens it spells are left whole, for the template reads them.
    """

    placement: Placement
    calls: bool = True
    left_whole: frozenset[str] = frozenset()
    reasoning: bool = True


@dataclass(frozen=True)
class MessageMarks:
    """The code points that mark one message: content start and end, end of inline thinking, reasoning start
    and end, the name in the last tool call.
    """

    start: str
    end: str
    after_thinking: str
    reasoning_start: str
    reasoning_end: str
    call: str

    def all(self) -> tuple[str, ...]:
        return (
            self.start,
            self.end,
            self.after_thinking,
            self.reasoning_start,
            self.reasoning_end,
            self.call,
        )


class Marks:
    """The marks of one conversation. `breaker` stands inside control tokens that message text spells."""

    def __init__(
        self, messages: Sequence[Mapping[str, Any]], template: str, tools: Sequence[Any] | None
    ) -> None:
        free = free_code_points(messages, template, tools)
        self.breaker = next(free)
        self.messages = [MessageMarks(*(next(free) for _ in range(6))) for _ in messages]
        everything = [self.breaker]
        for marks in self.messages:
            everything += marks.all()
        self.pattern = re.compile(f"[{_ranges(sorted(everything))}]")

    def strip(self, marked: str) -> tuple[str, dict[str, list[int]]]:
        """The text without marks, and for each mark the places where it stood."""
        pieces: list[str] = []
        places: dict[str, list[int]] = {}
        at = 0
        for removed, match in enumerate(self.pattern.finditer(marked)):
            start = match.start()
            pieces.append(marked[at:start])
            places.setdefault(match.group(), []).append(start - removed)
            at = start + 1
        pieces.append(marked[at:])
        return "".join(pieces), places


def free_code_points(
    messages: Sequence[Mapping[str, Any]], template: str, tools: Sequence[Any] | None
) -> Iterator[str]:
    """Private-use code points that occur in none of these."""
    taken = set(template)
    for text in texts_in([list(messages), list(tools or ())]):
        taken.update(text)
    return (chr(code) for first, last in _PLANES for code in range(first, last) if chr(code) not in taken)


def _ranges(characters: Sequence[str]) -> str:
    """Sorted characters as the inside of a character class: few ranges are much faster than many characters."""
    ranges: list[list[str]] = []
    for character in characters:
        if ranges and ord(character) == ord(ranges[-1][1]) + 1:
            ranges[-1][1] = character
        else:
            ranges.append([character, character])
    return "".join(f"{first}-{last}" for first, last in ranges)


def texts_in(value: Any) -> Iterator[str]:
    """Every string in nested plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from texts_in(item)
    elif isinstance(value, Iterable):
        for item in value:
            yield from texts_in(item)


def mark_message(
    message: Mapping[str, Any],
    marks: MessageMarks,
    marking: Marking,
    breaker: str,
    controls: ControlPatterns,
) -> dict[str, Any]:
    """A copy of the message with marks in its texts and breakers inside the control tokens it spells."""
    role, placement = message["role"], marking.placement

    def broken(value: Any) -> Any:
        if isinstance(value, str):
            spans = controls.forbidden_in(value, role)
            spans = [span for span in spans if value[slice(*span)] not in marking.left_whole]
            return _break_controls(value, breaker, spans)
        if isinstance(value, Mapping):
            return {key: broken(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [broken(item) for item in value]
        return value

    marked = dict(message)
    if marking.calls and marked.get("tool_calls"):
        marked["tool_calls"] = _mark_last_call(marked["tool_calls"], marks.call)
    if placement is not Placement.NONE and isinstance(marked.get("content"), str):
        marked["content"] = _mark_text(marked["content"], marks, placement, thinking=role == "assistant")
    if marking.reasoning:
        _mark_reasoning(marked, marks)
    return {key: value if key == "role" else broken(value) for key, value in marked.items()}


def _mark_reasoning(marked: dict[str, Any], marks: MessageMarks) -> None:
    for field in TEMPLATE_REASONING_FIELDS:
        if isinstance(marked.get(field), str) and marked[field].strip():
            lead, core, trail = _core(marked[field])
            marked[field] = f"{lead}{marks.reasoning_start}{core}{marks.reasoning_end}{trail}"


def _mark_last_call(calls: Any, mark: str) -> Any:
    """The mark at the end of the last called function's name, which every template writes out."""
    if not isinstance(calls, list) or not isinstance(calls[-1], dict):
        return calls
    last = dict(calls[-1])
    function = last.get("function", last)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return calls
    named = {**function, "name": function["name"] + mark}
    return [*calls[:-1], {**last, "function": named} if "function" in last else named]


def _mark_text(text: str, marks: MessageMarks, placement: Placement, *, thinking: bool) -> str:
    lead, core, trail = ("", text, "") if placement is Placement.OUTSIDE else _core(text)
    if placement is Placement.END_OUTSIDE:
        core, trail = core + trail, ""
    depth = mark_depth(core, placement)
    before, middle, after = core[:depth], core[depth : len(core) - depth], core[len(core) - depth :]
    if thinking and (match := _last_thinking_end(middle)) is not None:
        middle = middle[: match.end()] + marks.after_thinking + middle[match.end() :]
    start = "" if placement is Placement.END_ONLY else marks.start
    return f"{lead}{before}{start}{middle}{marks.end}{after}{trail}"


def first_marking(message: Mapping[str, Any]) -> Marking:
    """The marking that most templates leave undisturbed."""
    text = message.get("content")
    outside = isinstance(text, str) and text != text.strip()
    return Marking(Placement.OUTSIDE if outside else Placement.BORDERS)


def spelled_in(message: Mapping[str, Any], controls: ControlPatterns) -> frozenset[str]:
    """The control tokens that a message spells anywhere."""
    texts = [text for key, value in message.items() if key != "role" for text in texts_in(value)]
    return frozenset(
        text[start:end] for text in texts for start, end in controls.forbidden_in(text, message["role"])
    )


def markings_of(message: Mapping[str, Any], left_whole: frozenset[str] = frozenset()) -> Iterator[Marking]:
    """Every way to mark a message, the most telling first."""
    thinks = any(str(message.get(field) or "").strip() for field in TEMPLATE_REASONING_FIELDS)
    for reasoning in (True, False) if thinks else (True,):
        for calls in (True, False) if message.get("tool_calls") else (True,):
            for placement in Placement:
                yield Marking(placement, calls, left_whole, reasoning)


def mark_depth(core: str, placement: Placement) -> int:
    """How many code points of the trimmed text stand outside each of its marks."""
    if placement is Placement.ONE_INSIDE:
        return min(1, len(core) // 2)
    return len(core) // 2 if placement is Placement.MIDDLE else 0


def _core(text: str) -> tuple[str, str, str]:
    core = text.strip()
    if not core:
        return text, "", ""
    lead = len(text) - len(text.lstrip())
    return text[:lead], core, text[lead + len(core) :]


def _last_thinking_end(text: str) -> re.Match[str] | None:
    last = None
    for last in _AFTER_THINKING.finditer(text):  # noqa: B007  (the last one is wanted)
        pass
    return last


def _break_controls(text: str, breaker: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, _ in reversed(spans):
        text = text[: start + 1] + breaker + text[start + 1 :]
    return text
