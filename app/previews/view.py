"""Everything the preview page shows, put together from what `app.previews.service` gives."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlmodel import Session

from app.base_models.models import ModelEntry
from app.base_models.service import require_base_model
from app.core.errors import StudioError
from app.dialogue.conversation import Conversation as Dialogue
from app.dialogue.conversation import Message
from app.mask_settings.choices import Choices
from app.mask_settings.tokenizers import tokenizer_of
from app.masking import MaskedSample, Missing
from app.previews import service
from app.previews.compare import Difference, compare
from app.previews.service import Masked
from app.previews.strip import Row, rows_of, segments


@dataclass(frozen=True)
class Tally:
    """How much of a sample is trained."""

    trained: int
    kept: int
    cut: int

    @property
    def ratio(self) -> float:
        """Trained share of the kept tokens."""
        return self.trained / self.kept if self.kept else 0.0

    @classmethod
    def of(cls, sample: MaskedSample) -> "Tally":
        """Counted from the labels."""
        return cls(sample.trained, len(sample.input_ids), sample.truncated)


@dataclass
class Entry:
    """One line of the page: a message with its tokens, or (without a message) the template's own text."""

    turn: int | None
    message: Message | None
    row: Row | None = None
    other: Row | None = None
    # Whether some sample of the conversation trains it.
    chosen: bool = False
    flag: bool | None = None
    unsaved: bool = False
    # What the template leaves out of this turn.
    missing: list[Missing] = field(default_factory=list)

    @property
    def trains(self) -> bool:
        """What its button shows: its own flag, else what the strategy makes of it."""
        return self.chosen if self.flag is None else self.flag


@dataclass
class Comparison:
    """The second mask beside the first. `missing`: the other settings make no such sample."""

    name: str
    by_model: bool
    refusal: str | None = None
    missing: bool = False
    # Template arguments that the other model's template does not read.
    left_out: list[str] = field(default_factory=list)
    tally: Tally | None = None
    difference: Difference | None = None
    other_rows: list[Row] = field(default_factory=list)


@dataclass
class View:
    """One sample of the conversation, laid out."""

    choices: Choices
    model: ModelEntry
    masked: Masked
    shown: dict[str, Any]
    entries: list[Entry]
    tallies: list[Tally]
    turns_of_samples: list[tuple[int, int]]
    left_out: list[int]
    comparison: Comparison | None

    @property
    def tally(self) -> Tally:
        """Of the sample that is shown."""
        return self.tallies[self.choices.sample]

    @property
    def segments(self) -> list[tuple[int, int, str]]:
        """The whole sample at a glance."""
        return segments(self.shown)

    @property
    def whole(self) -> int:
        """Tokens of the sample, cut ones included."""
        return self.tally.kept + self.tally.cut

    @property
    def passed(self) -> int:
        """Checks that are green."""
        return sum(check["passed"] for check in self.shown["checks"])


def build_view(session: Session, stored: Dialogue, choices: Choices) -> View:
    """Mask, show and lay out. Raises Invalid or Conflict with the reason when there is nothing exact to show."""
    assert choices.base_model_id is not None
    messages = choices.apply_flags(stored["messages"])
    dialogue: Dialogue = {**stored, "messages": messages}
    masked = _mask(session, choices, dialogue)
    choices = replace(choices, sample=min(choices.sample, len(masked.samples) - 1))
    sample = masked.samples[choices.sample]
    shown = service.show_sample(masked, choices.sample)
    comparison = _compare(session, choices, dialogue, sample)
    marks = comparison.difference.marks if comparison and comparison.difference else None
    entries = _entries(rows_of(shown, marks), sample, masked, messages, stored["messages"])
    if comparison:
        _put_beside(entries, comparison.other_rows)
    return View(
        choices=choices,
        model=require_base_model(session, choices.base_model_id or 0),
        masked=masked,
        shown=shown,
        entries=entries,
        tallies=[Tally.of(one) for one in masked.samples],
        turns_of_samples=[_span(one) for one in masked.samples],
        left_out=[turn for turn in range(len(messages)) if turn not in sample.part.numbers],
        comparison=comparison,
    )


def _mask(session: Session, choices: Choices, dialogue: Dialogue) -> Masked:
    return service.mask_dialogue(
        session,
        base_model_id=choices.base_model_id or 0,
        dialogue=dialogue,
        settings=choices.settings,
        chat_template=choices.chat_template or None,
    )


def _span(sample: MaskedSample) -> tuple[int, int]:
    """First and last turn of a sample, leading system messages aside where there are others."""
    numbers = [turn for turn in sample.part.numbers if turn >= sample.part.left_out] or [0]
    return numbers[0], numbers[-1]


def _entries(
    rows: Sequence[Row],
    sample: MaskedSample,
    masked: Masked,
    messages: Sequence[Message],
    stored: Sequence[Message],
) -> list[Entry]:
    """The rows in the order of the tokens, and messages without any token where they belong."""
    chosen = {
        one.part.numbers[place] for one in masked.samples for _start, _end, place in one.spans if place >= 0
    }

    places = {number: (place,) for place, number in enumerate(sample.part.numbers)}

    def entry(turn: int | None, row: Row | None) -> Entry:
        if turn is None:
            return Entry(None, None, row)
        flag = messages[turn].get("train")
        return Entry(
            turn,
            messages[turn],
            row,
            chosen=turn in chosen,
            flag=flag,
            unsaved=flag is not stored[turn].get("train"),
            missing=[one for one in sample.missing if one.what.message in places.get(turn, ())],
        )

    entries = [entry(row.turn, row) for row in rows]
    present = {row.turn for row in rows}
    for turn in sample.part.numbers:
        if turn not in present:
            place = next(
                (at for at, one in enumerate(entries) if one.turn is not None and one.turn > turn),
                len(entries),
            )
            entries.insert(place, entry(turn, None))
    return entries


# -- the comparison ------------------------------------------------------------------------------------------


def _compare(
    session: Session, choices: Choices, dialogue: Dialogue, sample: MaskedSample
) -> Comparison | None:
    if choices.compare_strategy:
        name = choices.compare_strategy.value
        other = replace(choices, settings=replace(choices.settings, train_on=choices.compare_strategy))
    elif choices.compare_model_id:
        name = require_base_model(session, choices.compare_model_id).name
        other = replace(choices, base_model_id=choices.compare_model_id, chat_template="")
    else:
        return None
    comparison = Comparison(name, by_model=choices.compare_model_id is not None)
    try:
        tokenizer = tokenizer_of(session, other.base_model_id or 0, other.chat_template)
        other, comparison.left_out = other.readable_by(tokenizer)
        masked = _mask(session, other, dialogue)
    except StudioError as error:
        comparison.refusal = error.translated()
        return comparison
    same = [at for at, one in enumerate(masked.samples) if one.part.numbers == sample.part.numbers]
    there = masked.samples[same[0]] if same else None
    comparison.missing = there is None
    comparison.difference = compare(sample, there)
    if there is not None:
        comparison.tally = Tally.of(there)
        if comparison.by_model:
            back = compare(there, sample).mirrored()
            comparison.other_rows = rows_of(service.show_sample(masked, same[0]), back.marks)
    return comparison


def _put_beside(entries: list[Entry], rows: Sequence[Row]) -> None:
    """The other model's tokens under the same turn; what only it writes goes under the first of its kind."""
    met: Counter[int | None] = Counter()
    places: dict[tuple[int | None, int], Entry] = {}
    for entry in entries:
        places[(entry.turn, met[entry.turn])] = entry
        met[entry.turn] += 1
    met.clear()
    for row in rows:
        found = places.get((row.turn, met[row.turn]))
        met[row.turn] += 1
        entry = found or Entry(row.turn, None)
        if found is None:
            entries.append(entry)
        entry.other = row
