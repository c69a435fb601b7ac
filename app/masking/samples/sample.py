"""What masking gives: samples with ids and labels, and for every token who wrote it and where."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from app.dialogue.roles import ROLES
from app.masking.errors import MaskRefused
from app.masking.settings import IGNORE_INDEX, MaskSettings
from app.masking.tokenization.encoded import Encoded, Ints
from app.masking.turns.layout import HeldField, Layout, LeftOut
from app.unlocked import cached_property

ROLE_NAMES = ("template", *ROLES)
_ROLE_CODE = {name: code for code, name in enumerate(ROLE_NAMES)}


@dataclass(frozen=True)
class Part:
    """Some messages of a conversation that become one sample. `numbers` are their places in the conversation;
    only those in `eligible` may be trained; `left_out` counts earlier messages dropped to make room.
    """

    numbers: tuple[int, ...]
    eligible: frozenset[int]
    left_out: int = 0


@dataclass(frozen=True)
class Cut:
    """Tokens lost at the end of a sample. `turn` is the message they belong to;
    `half` when part of it is kept.
    """

    turn: int
    trained: int
    half: bool


@dataclass(frozen=True)
class Missing:
    """What the rendering leaves out, as this sample sees it. `trained`: of a turn that is trained, or of the tools that
    a trained turn calls. `by_choice`: the settings say so.
    """

    what: LeftOut
    trained: bool
    by_choice: bool

    @property
    def is_fault(self) -> bool:
        """Whether the model would be trained without something that it has to write or to know."""
        return self.trained and not self.by_choice

    @property
    def is_usual(self) -> bool:
        """Whether it is missing as it will be when the model is used: templates forget what earlier turns thought."""
        return self.by_choice or (
            not self.trained and self.what.field is HeldField.REASONING and self.what.shown_last
        )


@dataclass
class MaskedSample:
    """One training sample. Arrays are over the kept tokens; `encoded` and `chosen` still know the cut ones."""

    conversation_id: int
    input_ids: Ints
    labels: Ints
    layout: Layout
    part: Part
    encoded: Encoded
    full_labels: Ints
    spans: list[tuple[int, int, int]]
    settings: MaskSettings
    cuts: list[Cut] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    expected_controls: int | None = None

    @property
    def text(self) -> str:
        return self.layout.text

    @property
    def trained(self) -> int:
        return int(np.count_nonzero(self.labels != IGNORE_INDEX))

    @property
    def truncated(self) -> int:
        """Tokens beyond `max_length`."""
        return len(self.encoded.ids) - len(self.input_ids)

    def tokens_of(self, start: int, end: int) -> slice:
        """The tokens, cut ones included, whose first code point lies in [start, end)."""
        known, end = self._first_token_from, max(start, end)
        if start in known and end in known:
            return slice(known[start], known[end])
        return self.encoded.tokens_of(start, end)

    @cached_property
    def _first_token_from(self) -> dict[int, int]:
        """By the place of every border in the layout; looked up all at once,
        which costs little more than one.
        """
        places = [place for region in self.layout.regions for place in (region.start, region.end)]
        for turn in self.layout.turns:
            content = (turn.content_start, turn.content_end)
            places += [place for place in (turn.start, turn.end, *content) if place is not None]
            places += turn.end_of_turn or ()
        return dict(zip(places, self.encoded.starts.searchsorted(places).tolist(), strict=True))

    def roles_and_turns(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """For every token, cut ones included:
        the code of who wrote it, and the message's place (-1: the template).
        """
        roles = np.zeros(len(self.encoded.ids), dtype=np.int8)
        turns = np.full(len(self.encoded.ids), -1, dtype=np.int32)
        for region in self.layout.regions:
            tokens = self.tokens_of(region.start, region.end)
            roles[tokens] = _ROLE_CODE[region.role]
            turns[tokens] = self.part.numbers[region.message]
        for turn in self.layout.turns:
            tokens = self.tokens_of(turn.start, turn.end)
            roles[tokens] = _ROLE_CODE["assistant"]
            turns[tokens] = self.part.numbers[turn.message]
        return roles, turns


@dataclass
class MaskedConversation:
    """The samples of one conversation that train something,
    and those that were dropped because they train nothing.

    `refusal` is set, and there are no samples, when no exact mask could be proven.
    """

    conversation_id: int
    samples: list[MaskedSample]
    untrained: list[MaskedSample] = field(default_factory=list)
    refusal: MaskRefused | None = None

    @property
    def dropped(self) -> int:
        return len(self.untrained)
