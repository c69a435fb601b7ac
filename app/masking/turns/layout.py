"""What a rendering consists of: the turns the model writes, the texts people wrote,
and the template around them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from app.masking.errors import MaskRefused


@dataclass(slots=True)
class Turn:
    """One assistant turn; half-open ranges of code points of the rendering.

    [start, end) is what the model itself must generate, the end-of-turn marker included. `prompt_rest` is
    what the generation prompt says beyond the header shown here.
    """

    message: int
    start: int
    end: int
    content_start: int | None
    content_end: int | None
    end_of_turn: tuple[int, int] | None
    reasoning_end: int | None = None
    rewritten: bool = False
    writes_header: bool = False
    prompt_rest: str = ""


@dataclass(slots=True)
class Region:
    """Text of a system, user or tool message as it was rendered."""

    message: int
    role: str
    start: int
    end: int


@dataclass(frozen=True)
class Spelled:
    """A control token that message text spells and that was kept ordinary text."""

    message: int
    token: str


class HeldField(StrEnum):
    """What of a message, or beside the messages, must be found in the rendering."""

    WORDS = "words"
    NAME = "name"
    REASONING = "reasoning"
    CALL = "call"
    ARGUMENT = "argument"
    TOOL = "tool"


@dataclass(frozen=True)
class LeftOut:
    """What a message holds (the tools, where `message` is None) and the rendering does not show where it belongs.

    `text` is what is missing: words, reasoning, a name, the call with its arguments, the tool with its parts.
    `shown_last`: the template writes it while that turn is the last one. `by_arguments`: it does without the
    arguments that the template was given.
    """

    message: int | None
    field: HeldField
    text: str
    shown_last: bool = False
    by_arguments: bool = False


@dataclass
class Layout:
    """A rendering with everything located in it.

    `controls` are the control tokens that may stand as such. `refused` holds, by message, why an assistant
    turn has no provable borders; such a turn can be context but not be trained. `unlocated` are other
    messages that are not shown as they are. `left_out` is what the messages hold and the rendering does not.
    """

    text: str
    turns: list[Turn]
    regions: list[Region]
    spelled: list[Spelled] = field(default_factory=list)
    controls: list[tuple[int, int]] | None = None
    unlocated: list[int] = field(default_factory=list)
    refused: dict[int, MaskRefused] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
