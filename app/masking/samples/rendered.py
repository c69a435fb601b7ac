"""Samples that are rendered and located but not encoded: what lies between a conversation and its tokens."""

from dataclasses import dataclass

from app.dialogue.roles import Role
from app.masking.errors import MaskRefused
from app.masking.samples.conversation import Dialogue
from app.masking.samples.sample import MaskedSample, Part
from app.masking.samples.selection import Selection
from app.masking.samples.truncation import truncate
from app.masking.settings import MaskSettings
from app.masking.tokenization.encoded import Encoded
from app.masking.turns.known_layouts import KnownLayouts
from app.masking.turns.layout import Layout
from app.masking.turns.marks import texts_in
from app.sentences import N_


@dataclass
class RenderedSample:
    """`encoded` is set once its text is encoded; `expected_controls` as in `Found`."""

    dialogue: Dialogue
    part: Part
    layout: Layout
    encoded: Encoded | None = None
    expected_controls: int | None = None

    def selection(self, settings: MaskSettings) -> Selection:
        """Which of its turns these settings train."""
        return Selection(self.dialogue, self.part, self.layout, settings)

    def labelled(self, conversation_id: int, settings: MaskSettings) -> MaskedSample:
        """The training sample, cut to the settings' length; `encoded` must be known."""
        assert self.encoded is not None
        selection = self.selection(settings)
        spans = selection.trained_spans()
        labels = self.encoded.labels_of([(start, end) for start, end, _ in spans])
        length, cuts = truncate(self.encoded, labels, self.layout, self.part, settings.max_length)
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
            selection.missing() if self.layout.left_out else [],
            self.expected_controls,
        )

    def has_its_controls(self, layouts: KnownLayouts) -> bool:
        """Whether the ids hold as many control tokens as the template wrote."""
        if self.expected_controls is None:
            return True
        assert self.encoded is not None
        return layouts.tokenizer.count_controls(self.encoded.ids) == self.expected_controls


class SampleRenderer:
    """Renders samples under one tokenizer and settings; `short_cut` allows layouts that were proven before."""

    def __init__(self, layouts: KnownLayouts, settings: MaskSettings, *, short_cut: bool = True) -> None:
        self.layouts = layouts
        self.settings = settings
        self.short_cut = short_cut

    def render(self, dialogue: Dialogue, part: Part) -> RenderedSample:
        """Raises MaskRefused; turns in its sentence are counted in the conversation."""
        self._require_plain_tools(dialogue)
        messages = dialogue.messages
        if len(part.numbers) != len(messages):
            messages = [messages[number] for number in part.numbers]
        try:
            found = self.layouts.lay_out(messages, dialogue.tools, short_cut=self.short_cut)
            made = RenderedSample(dialogue, part, found.layout, expected_controls=found.expected_controls)
            made.selection(self.settings).require_provable(self.layouts.tokenizer.name)
        except MaskRefused as refusal:
            raise _counted_in_conversation(refusal, part) from refusal
        if found.layout.spelled:
            self._keep_as_text(made)
        return made

    def length(self, sample: RenderedSample) -> int:
        """The number of tokens, by encoding."""
        if sample.encoded is None:
            sample.encoded = self.layouts.tokenizer.encoder.encode_many([sample.layout.text])[0]
        return len(sample.encoded.ids)

    def _require_plain_tools(self, dialogue: Dialogue) -> None:
        """Raises MaskRefused where a tool spells a control token: templates write tools out, and it would become one."""
        controls = self.layouts.tokenizer.controls
        for text in texts_in(dialogue.tools or ()):
            for start, end in controls.forbidden_in(text, Role.SYSTEM):
                raise MaskRefused(
                    N_(
                        "The tools of the conversation spell the control token %(token)s; reword them without it."
                    ),
                    token=text[start:end],
                )

    def _keep_as_text(self, sample: RenderedSample) -> None:
        spelled = sample.layout.spelled[0]
        if self.settings.control_tokens == "refuse":
            raise MaskRefused(
                N_(
                    "Turn %(turn)d spells the control token %(token)s; remove it, or allow it as "
                    "ordinary text."
                ),
                turn=sample.part.numbers[spelled.message] + 1,
                token=spelled.token,
            )
        controls = sample.layout.controls or []
        sample.encoded = self.layouts.tokenizer.twin.encode(sample.layout.text, controls)
        sample.expected_controls = len(controls)


def _counted_in_conversation(refusal: MaskRefused, part: Part) -> MaskRefused:
    turn = refusal.sentence.values.get("turn")
    if not isinstance(turn, int) or not 0 < turn <= len(part.numbers):
        return refusal
    return type(refusal)(refusal.sentence, turn=part.numbers[turn - 1] + 1)
