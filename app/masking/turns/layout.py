"""What a rendering consists of: the turns the model writes, the texts people wrote,
and the template around them.
"""

from dataclasses import dataclass, field

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


@dataclass
class Layout:
    """A rendering with everything located in it.

    `controls` are the control tokens that may stand as such. `refused` holds, by message, why an assistant
    turn has no provable borders; such a turn can be context but not be trained. `unlocated` are other
    messages that are not shown as they are.
    """

    text: str
    turns: list[Turn]
    regions: list[Region]
    spelled: list[Spelled] = field(default_factory=list)
    controls: list[tuple[int, int]] | None = None
    unlocated: list[int] = field(default_factory=list)
    refused: dict[int, MaskRefused] = field(default_factory=dict)
