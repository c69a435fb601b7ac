"""Which turns of a located sample are trained, and the ranges of text this means. Settings choose turns; where they
begin and end is the layout's.
"""

from app.masking.errors import MaskRefused
from app.masking.samples.conversation import Dialogue
from app.masking.samples.sample import Missing, Part
from app.masking.settings import MaskSettings, TrainOn
from app.masking.turns.layout import HeldField, Layout, Turn
from app.sentences import N_


class Selection:
    """The choice for one sample: `part` of `dialogue`, laid out as `layout`."""

    def __init__(self, dialogue: Dialogue, part: Part, layout: Layout, settings: MaskSettings) -> None:
        self.dialogue = dialogue
        self.part = part
        self.layout = layout
        self.settings = settings

    def is_chosen(self, place: int) -> bool:
        """Whether the message at this place of the sample is trained: its own flag first, then the strategy."""
        number = self.part.numbers[place]
        if number not in self.part.eligible:
            return False
        flag = self.dialogue.flags[number]
        if flag is not None:
            return flag
        if self.settings.train_on is TrainOn.LAST_ASSISTANT:
            return number == self.dialogue.last_assistant
        if self.settings.train_on is TrainOn.ASSISTANT:
            return bool(self.dialogue.messages[number]["role"] == "assistant")
        return True

    def require_provable(self, template: str) -> None:
        """Raises the refusal of a turn that would be trained."""
        for place, refusal in self.layout.refused.items():
            if self.settings.train_on is TrainOn.ALL or self.is_chosen(place):
                raise refusal
        if self.settings.train_reasoning:
            return
        for turn in self.layout.turns:
            if turn.reasoning_end is None and self.is_chosen(turn.message) and self._thinks(turn):
                raise MaskRefused(
                    N_(
                        "Where the thinking of turn %(turn)d ends under the chat template %(template)s cannot be "
                        "proven, so it cannot be left out; train the thinking too, or leave this turn untrained."
                    ),
                    template=template,
                    turn=turn.message + 1,
                )

    def missing(self) -> list[Missing]:
        """What the rendering leaves out, and whether it matters for what is trained."""
        held = self.dialogue.messages
        calls = any(
            held[number].get("tool_calls") and self.is_chosen(place)
            for place, number in enumerate(self.part.numbers)
        )
        return [
            Missing(
                one,
                trained=calls if one.message is None else self.is_chosen(one.message),
                by_choice=one.by_arguments
                or (one.field is HeldField.REASONING and not self.settings.train_reasoning),
            )
            for one in self.layout.left_out
        ]

    def _thinks(self, turn: Turn) -> bool:
        """Whether thinking that the message holds may be written out in this turn."""
        message = self.dialogue.messages[self.part.numbers[turn.message]]
        written = self.layout.text[turn.start : turn.end]
        reasoning = (message.get("reasoning_content") or "").strip()
        if reasoning:
            return reasoning in written
        return "</think" in (message.get("content") or "") and "</think" in written

    def trained_spans(self) -> list[tuple[int, int, int]]:
        """Ranges of code points to train, with the message each belongs to (-1: the template), in order."""
        spans: list[tuple[int, int, int]] = []
        left_alone: list[tuple[int, int]] = []
        for turn in self.layout.turns:
            start = turn.start
            if not self.settings.train_reasoning and turn.reasoning_end is not None:
                start = max(start, turn.reasoning_end)
            if self.is_chosen(turn.message):
                spans.append((start, turn.end, turn.message))
                left_alone.append((turn.start, start))
            else:
                left_alone.append((turn.start, turn.end))
        people_may_be_chosen = (
            self.settings.train_on in (TrainOn.ALL, TrainOn.CONTENT) or True in self.dialogue.flags
        )
        for region in self.layout.regions if people_may_be_chosen else ():
            if self.is_chosen(region.message):
                spans.append((region.start, region.end, region.message))
            else:
                left_alone.append((region.start, region.end))
        spans.sort()
        if self.settings.train_on is TrainOn.ALL:
            taken = sorted([(start, end) for start, end, _ in spans] + left_alone)
            at = 0
            for start, end in [*taken, (len(self.layout.text), len(self.layout.text))]:
                if at < start:
                    spans.append((at, start, -1))
                at = max(at, end)
            spans.sort()
        answers = {turn.message for turn in self.layout.turns}  # even one with nothing to write is chosen
        return [span for span in spans if span[0] < span[1] or span[2] in answers]
