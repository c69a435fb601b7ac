"""From a conversation to the samples that are trained: ids, labels, and for every token who wrote it and
where.

Settings choose turns; the borders come from the layout. Whole turns are kept where the length allows it,
and every cut
is listed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from app.masking.conversations import Dialogue, read_conversation
from app.masking.cutting import Cutter, Part
from app.masking.encoding import Encoded, Ints
from app.masking.errors import N_, MaskRefused
from app.masking.layout import Layout
from app.masking.settings import IGNORE_INDEX, Handling, MaskSettings, TrainOn
from app.masking.shapes import ShapeBook
from app.masking.tokenizer import ChatTokenizer

ROLE_NAMES = ("template", "system", "user", "assistant", "tool")
_ROLE_CODE = {name: code for code, name in enumerate(ROLE_NAMES)}
BATCH = 256


@dataclass(frozen=True)
class Cut:
    """Tokens lost at the end of a sample. `turn` is the message they belong to; `half` when part of it is
    kept.
    """

    turn: int
    trained: int
    half: bool


@dataclass
class MaskedSample:
    """One training sample. Arrays are over the kept tokens; `encoded` and `chosen` still know the cut
    ones.
    """

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

    def roles_and_turns(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """For every token, cut ones included: the code of who wrote it, and the message's place (-1: the
        template).
        """
        roles = np.zeros(len(self.encoded.ids), dtype=np.int8)
        turns = np.full(len(self.encoded.ids), -1, dtype=np.int32)
        for region in self.layout.regions:
            tokens = self.encoded.tokens_of(region.start, region.end)
            roles[tokens] = _ROLE_CODE[region.role]
            turns[tokens] = self.part.numbers[region.message]
        for turn in self.layout.turns:
            tokens = self.encoded.tokens_of(turn.start, turn.end)
            roles[tokens] = _ROLE_CODE["assistant"]
            turns[tokens] = self.part.numbers[turn.message]
        return roles, turns


@dataclass
class MaskedConversation:
    """The samples of one conversation that train something, and those that were dropped because they train
    nothing.

    `refusal` is set, and there are no samples, when no exact mask could be proven.
    """

    conversation_id: int
    samples: list[MaskedSample]
    untrained: list[MaskedSample] = field(default_factory=list)
    refusal: MaskRefused | None = None

    @property
    def dropped(self) -> int:
        return len(self.untrained)


def mask_conversation(
    tokenizer: ChatTokenizer,
    conversation: Mapping[str, Any],
    settings: MaskSettings,
    conversation_id: int = 0,
) -> MaskedConversation:
    """Mask one conversation. Raises MaskRefused."""
    masked = next(mask_conversations(tokenizer, [(conversation_id, conversation)], settings))
    if masked.refusal is not None:
        raise masked.refusal
    return masked


def mask_conversations(
    tokenizer: ChatTokenizer, conversations: Iterable[tuple[int, Mapping[str, Any]]], settings: MaskSettings
) -> Iterator[MaskedConversation]:
    """Mask a stream of (id, conversation), in order, a batch encoding at a time. Refusals are returned, not
    raised.

    While one batch is encoded (outside the interpreter lock) the next one is rendered.
    """
    book = ShapeBook(tokenizer)
    stream = iter(conversations)
    with ThreadPoolExecutor(1, thread_name_prefix="encode") as encoder:
        waiting: tuple[_Batch, Future[list[Encoded]]] | None = None
        while items := list(islice(stream, BATCH)):
            batch = _Batch(book, items, settings)
            encoding = encoder.submit(tokenizer.encoder.encode_many, batch.texts())
            if waiting is not None:
                yield from waiting[0].finish(waiting[1].result())
            waiting = (batch, encoding)
        if waiting is not None:
            yield from waiting[0].finish(waiting[1].result())


class _Batch:
    """Some conversations between rendering and labelling."""

    def __init__(
        self, book: ShapeBook, items: Sequence[tuple[int, Mapping[str, Any]]], settings: MaskSettings
    ) -> None:
        self.book = book
        self.settings = settings
        self.drafts: list[tuple[int, Dialogue | None, list[_Draft] | MaskRefused]] = []
        for conversation_id, conversation in items:
            dialogue = None
            try:
                dialogue = read_conversation(conversation)
                self.drafts.append((conversation_id, dialogue, _draft(book, dialogue, settings)))
            except MaskRefused as refusal:
                self.drafts.append((conversation_id, dialogue, refusal))

    def _without_tokens(self) -> list["_Draft"]:
        lists = (found for _, _, found in self.drafts if isinstance(found, list))
        return [draft for found in lists for draft in found if draft.encoded is None]

    def texts(self) -> list[str]:
        return [draft.layout.text for draft in self._without_tokens()]

    def finish(self, encoded: Sequence[Encoded]) -> Iterator[MaskedConversation]:
        for draft, encoding in zip(self._without_tokens(), encoded, strict=True):
            draft.encoded = encoding
        for conversation_id, dialogue, found in self.drafts:
            if isinstance(found, list) and not all(draft.has_its_controls(self.book) for draft in found):
                assert dialogue is not None
                found = self._exactly(dialogue)
            if isinstance(found, MaskRefused):
                yield MaskedConversation(conversation_id, [], refusal=found)
                continue
            masked = MaskedConversation(conversation_id, [])
            for draft in found:
                sample = draft.sample(conversation_id, self.settings)
                (masked.samples if sample.trained else masked.untrained).append(sample)
            yield masked

    def _exactly(self, dialogue: Dialogue) -> "list[_Draft] | MaskRefused":
        """Again without the short cut: text and template together spelled a control token."""
        try:
            found = _draft(self.book, dialogue, self.settings, short_cut=False)
        except MaskRefused as refusal:
            return refusal
        for draft in found:
            if draft.encoded is None:
                draft.encoded = self.book.tokenizer.encoder.encode_many([draft.layout.text])[0]
        return found


@dataclass
class _Draft:
    """A sample before its tokens are known."""

    dialogue: Dialogue
    part: Part
    layout: Layout
    last_assistant: int
    encoded: Encoded | None = None
    expected_controls: int | None = None

    def sample(self, conversation_id: int, settings: MaskSettings) -> MaskedSample:
        assert self.encoded is not None
        spans = self._trained_spans(settings)
        labels = np.full(len(self.encoded.ids), IGNORE_INDEX, dtype=np.int32)
        for start, end, _ in spans:
            tokens = self.encoded.tokens_of(start, end)
            labels[tokens] = self.encoded.ids[tokens]
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
        """Whether the message at this place of the sample is trained: its own flag first, then the
        strategy.
        """
        number = self.part.numbers[place]
        if number not in self.part.eligible:
            return False
        flag = self.dialogue.flags[number]
        if flag is not None:
            return flag
        if settings.train_on is TrainOn.LAST_ASSISTANT:
            return number == self.last_assistant
        if settings.train_on is TrainOn.ASSISTANT:
            return bool(self.dialogue.messages[number]["role"] == "assistant")
        return True

    def require_provable(self, settings: MaskSettings) -> None:
        """Raises the refusal of a turn that would be trained."""
        for place, refusal in self.layout.refused.items():
            if settings.train_on is TrainOn.ALL or self.is_chosen(place, settings):
                raise refusal

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
        for region in self.layout.regions:
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
        return [span for span in spans if span[0] < span[1]]

    def _fit(self, labels: Ints, max_length: int | None) -> tuple[int, list[Cut]]:
        """The number of tokens kept and what was lost: up to the last whole assistant turn, else a stated
        half turn.
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


def _draft(
    book: ShapeBook, dialogue: Dialogue, settings: MaskSettings, *, short_cut: bool = True
) -> list[_Draft]:
    assistants = [
        number for number, message in enumerate(dialogue.messages) if message["role"] == "assistant"
    ]
    last = assistants[-1] if assistants else -1

    def draft(part: Part) -> _Draft:
        messages = [dialogue.messages[number] for number in part.numbers]
        with _numbered_in(part):
            found = book.lay_out(messages, dialogue.tools, short_cut=short_cut)
        made = _Draft(dialogue, part, found.layout, last, expected_controls=found.expected_controls)
        with _numbered_in(part):
            made.require_provable(settings)
        if found.layout.spelled:
            _keep_as_text(book.tokenizer, made, settings)
        return made

    everything = Part(tuple(range(len(dialogue.messages))), frozenset(range(len(dialogue.messages))))
    if settings.handling is Handling.WHOLE:
        return [draft(everything)]

    def length(made: _Draft) -> int:
        if made.encoded is None:
            made.encoded = book.tokenizer.encoder.encode_many([made.layout.text])[0]
        return len(made.encoded.ids)

    cutter = Cutter(dialogue, draft, length, settings)
    return (
        cutter.per_turn(assistants) if settings.handling is Handling.PER_TURN else cutter.windows(everything)
    )


@contextmanager
def _numbered_in(part: Part) -> Iterator[None]:
    """Refusals name turns by their place in the sample; people know them by their place in the
    conversation.
    """
    try:
        yield
    except MaskRefused as refusal:
        turn = refusal.params.get("turn")
        if not isinstance(turn, int) or not 0 < turn <= len(part.numbers):
            raise
        params = {**refusal.params, "turn": part.numbers[turn - 1] + 1}
        raise type(refusal)(refusal.message, **params) from refusal


def _keep_as_text(tokenizer: ChatTokenizer, draft: _Draft, settings: MaskSettings) -> None:
    spelled = draft.layout.spelled[0]
    if settings.control_tokens == "refuse":
        raise MaskRefused(
            N_("Turn %(turn)d spells the control token %(token)s; remove it, or allow it as ordinary text."),
            turn=draft.part.numbers[spelled.message] + 1,
            token=spelled.token,
        )
    controls = draft.layout.controls or []
    draft.encoded = tokenizer.twin.encode(draft.layout.text, controls)
    draft.expected_controls = len(controls)
