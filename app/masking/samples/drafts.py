"""Samples before their tokens are known: located, with the turns that will be trained.

Settings choose turns; the borders come from the layout.
Whole turns are kept where the length allows it, and every cut is listed.
"""

from dataclasses import dataclass

import numpy as np

from app.masking.errors import N_, MaskRefused
from app.masking.samples.conversation import Dialogue
from app.masking.samples.sample import Cut, MaskedSample, Part
from app.masking.settings import IGNORE_INDEX, MaskSettings, TrainOn
from app.masking.tokenization.encoded import Encoded, Ints
from app.masking.turns.known_layouts import ShapeBook
from app.masking.turns.layout import Layout, Turn


@dataclass
class Draft:
    """A sample before its tokens are known."""

    dialogue: Dialogue
    part: Part
    layout: Layout
    encoded: Encoded | None = None
    expected_controls: int | None = None

    def sample(self, conversation_id: int, settings: MaskSettings) -> MaskedSample:
        assert self.encoded is not None
        spans = self._trained_spans(settings)
        labels = self.encoded.labels_of([(start, end) for start, end, _ in spans])
        length, cuts = self._fit(labels, settings.max_length)
        return MaskedSample(
            conversation_id,
            self.encoded.ids[:length],
            labels[:length],
            self.layout,
            self.part,
            self.encoded,
            labels,
            spans,
            settings,
            cuts,
            self.expected_controls,
        )

    def has_its_controls(self, book: ShapeBook) -> bool:
        """Whether the ids hold as many control tokens as the template wrote."""
        if self.expected_controls is None:
            return True
        assert self.encoded is not None
        return book.tokenizer.count_controls(self.encoded.ids) == self.expected_controls

    def is_chosen(self, place: int, settings: MaskSettings) -> bool:
        """Whether the message at this place of the sample is trained: its own flag first, then the strategy."""
        number = self.part.numbers[place]
        if number not in self.part.eligible:
            return False
        flag = self.dialogue.flags[number]
        if flag is not None:
            return flag
        if settings.train_on is TrainOn.LAST_ASSISTANT:
            return number == self.dialogue.last_assistant
        if settings.train_on is TrainOn.ASSISTANT:
            return bool(self.dialogue.messages[number]["role"] == "assistant")
        return True

    def require_provable(self, settings: MaskSettings, template: str) -> None:
        """Raises the refusal of a turn that would be trained."""
        for place, refusal in self.layout.refused.items():
            if settings.train_on is TrainOn.ALL or self.is_chosen(place, settings):
                raise refusal
        if settings.train_reasoning:
            return
        for turn in self.layout.turns:
            if turn.reasoning_end is None and self.is_chosen(turn.message, settings) and self._thinks(turn):
                raise MaskRefused(
                    N_(
                        "Where the thinking of turn %(turn)d ends under the chat template %(template)s cannot be "
                        "proven, so it cannot be left out; train the thinking too, or leave this turn untrained."
                    ),
                    template=template,
                    turn=turn.message + 1,
                )

    def _thinks(self, turn: Turn) -> bool:
        """Whether thinking that the message holds may be written out in this turn."""
        message = self.dialogue.messages[self.part.numbers[turn.message]]
        written = self.layout.text[turn.start : turn.end]
        reasoning = (message.get("reasoning_content") or "").strip()
        if reasoning:
            return reasoning in written
        return "</think" in (message.get("content") or "") and "</think" in written

    def _trained_spans(self, settings: MaskSettings) -> list[tuple[int, int, int]]:
        """Ranges of code points to train, with the message each belongs to (-1: the template), in order."""
        spans: list[tuple[int, int, int]] = []
        left_alone: list[tuple[int, int]] = []
        for turn in self.layout.turns:
            start = turn.start
            if not settings.train_reasoning and turn.reasoning_end is not None:
                start = max(start, turn.reasoning_end)
            if self.is_chosen(turn.message, settings):
                spans.append((start, turn.end, turn.message))
                left_alone.append((turn.start, start))
            else:
                left_alone.append((turn.start, turn.end))
        people_may_be_chosen = (
            settings.train_on in (TrainOn.ALL, TrainOn.CONTENT) or True in self.dialogue.flags
        )
        for region in self.layout.regions if people_may_be_chosen else ():
            if self.is_chosen(region.message, settings):
                spans.append((region.start, region.end, region.message))
            else:
                left_alone.append((region.start, region.end))
        spans.sort()
        if settings.train_on is TrainOn.ALL:
            taken = sorted([(start, end) for start, end, _ in spans] + left_alone)
            at = 0
            for start, end in [*taken, (len(self.layout.text), len(self.layout.text))]:
                if at < start:
                    spans.append((at, start, -1))
                at = max(at, end)
            spans.sort()
        answers = {turn.message for turn in self.layout.turns}  # even one with nothing to write is chosen
        return [span for span in spans if span[0] < span[1] or span[2] in answers]

    def _fit(self, labels: Ints, max_length: int | None) -> tuple[int, list[Cut]]:
        """The number of tokens kept and what was lost:
        up to the last whole assistant turn, else a stated half turn.
        """
        assert self.encoded is not None
        if max_length is None or len(labels) <= max_length:
            return len(labels), []
        ends = [self.encoded.tokens_of(turn.start, turn.end).stop for turn in self.layout.turns]
        trained = np.flatnonzero(labels != IGNORE_INDEX)
        first_trained = int(trained[0]) if len(trained) else len(labels)
        length = max((end for end in ends if first_trained < end <= max_length), default=max_length)
        cuts = []
        for place, start, end in self._blocks():
            tokens = self.encoded.tokens_of(start, end)
            if tokens.stop > length:
                lost = labels[max(tokens.start, length) : tokens.stop]
                lost_trained = int(np.count_nonzero(lost != IGNORE_INDEX))
                cuts.append(Cut(self.part.numbers[place], lost_trained, tokens.start < length))
        return length, cuts

    def _blocks(self) -> list[tuple[int, int, int]]:
        blocks = [(turn.message, turn.start, turn.end) for turn in self.layout.turns]
        blocks += [(region.message, region.start, region.end) for region in self.layout.regions]
        return sorted(blocks, key=lambda block: block[1])


class Drafter:
    """Makes drafts under one tokenizer and settings; `short_cut` allows shapes that were proven before."""

    def __init__(self, book: ShapeBook, settings: MaskSettings, *, short_cut: bool = True) -> None:
        self.book = book
        self.settings = settings
        self.short_cut = short_cut

    def draft(self, dialogue: Dialogue, part: Part) -> Draft:
        """Raises MaskRefused; turns in its sentence are counted in the conversation."""
        messages = dialogue.messages
        if len(part.numbers) != len(messages):
            messages = [messages[number] for number in part.numbers]
        try:
            found = self.book.lay_out(messages, dialogue.tools, short_cut=self.short_cut)
            made = Draft(dialogue, part, found.layout, expected_controls=found.expected_controls)
            made.require_provable(self.settings, self.book.tokenizer.name)
        except MaskRefused as refusal:
            raise _counted_in_conversation(refusal, part) from refusal
        if found.layout.spelled:
            self._keep_as_text(made)
        return made

    def length(self, draft: Draft) -> int:
        """The number of tokens, by encoding."""
        if draft.encoded is None:
            draft.encoded = self.book.tokenizer.encoder.encode_many([draft.layout.text])[0]
        return len(draft.encoded.ids)

    def _keep_as_text(self, draft: Draft) -> None:
        spelled = draft.layout.spelled[0]
        if self.settings.control_tokens == "refuse":
            raise MaskRefused(
                N_(
                    "Turn %(turn)d spells the control token %(token)s; remove it, or allow it as "
                    "ordinary text."
                ),
                turn=draft.part.numbers[spelled.message] + 1,
                token=spelled.token,
            )
        controls = draft.layout.controls or []
        draft.encoded = self.book.tokenizer.twin.encode(draft.layout.text, controls)
        draft.expected_controls = len(controls)


def _counted_in_conversation(refusal: MaskRefused, part: Part) -> MaskRefused:
    turn = refusal.params.get("turn")
    if not isinstance(turn, int) or not 0 < turn <= len(part.numbers):
        return refusal
    return type(refusal)(refusal.message, **{**refusal.params, "turn": part.numbers[turn - 1] + 1})
