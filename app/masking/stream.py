"""Conversations to masked samples, as a stream: render many, encode them as one batch, label them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from tokenizers import Encoding

from app.masking.conversations import Dialogue, read_conversation
from app.masking.cutting import Cutter
from app.masking.drafts import Draft, Drafter
from app.masking.encoding import Encoded
from app.masking.errors import MaskRefused
from app.masking.samples import MaskedConversation, Part
from app.masking.settings import Handling, MaskSettings
from app.masking.shapes import ShapeBook
from app.masking.tokenizer import ChatTokenizer

BATCH = 256
# Long conversations make smaller batches, so that memory does not follow the longest ones.
BATCH_CHARACTERS = 1_000_000
AHEAD = 3

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], characters: Callable[[Item], int]) -> Iterator[list[Item]]:
    """At most BATCH at a time, and no more once they hold BATCH_CHARACTERS."""
    batch: list[Item] = []
    held = 0
    for item in items:
        batch.append(item)
        held += characters(item)
        if len(batch) >= BATCH or held >= BATCH_CHARACTERS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _characters(item: tuple[int, Mapping[str, Any]]) -> int:
    """Of the messages' texts; what is no message counts nothing, for it is refused."""
    messages = item[1].get("messages")
    if not isinstance(messages, list):
        return 0
    texts = (message.get("content") for message in messages if isinstance(message, Mapping))
    return sum(len(text) for text in texts if isinstance(text, str | list))


def mask_conversation(
    tokenizer: ChatTokenizer,
    conversation: Mapping[str, Any],
    settings: MaskSettings,
    conversation_id: int = 0,
    *,
    moment: datetime | None = None,
) -> MaskedConversation:
    """Mask one conversation. Raises MaskRefused."""
    masked = next(mask_conversations(tokenizer, [(conversation_id, conversation)], settings, moment=moment))
    if masked.refusal is not None:
        raise masked.refusal
    return masked


def mask_conversations(
    tokenizer: ChatTokenizer,
    conversations: Iterable[tuple[int, Mapping[str, Any]]],
    settings: MaskSettings,
    *,
    moment: datetime | None = None,
) -> Iterator[MaskedConversation]:
    """Mask a stream of (id, conversation), in order, a batch encoding at a time.
    Refusals are returned, not raised.

    While one batch is encoded (outside the interpreter lock) the next one is rendered. A template that writes
    the date sees the same `moment` throughout, the stream's beginning where none is given.
    """
    moment = moment or datetime.now()  # noqa: DTZ005  (transformers writes the local date)
    tokenizer = tokenizer.rendering_with(settings.template_arguments, moment=moment)
    book = ShapeBook(tokenizer)
    # Several at a time: some encode while others wait for the interpreter to hand their results over.
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="encode") as encoder:
        waiting: deque[tuple[_Batch, list[str], Future[list[Encoding]]]] = deque()
        for items in in_batches(conversations, _characters):
            batch = _Batch(book, items, settings)
            texts = batch.texts()
            waiting.append((batch, texts, encoder.submit(tokenizer.encoder.batch, texts)))
            while len(waiting) > AHEAD or (waiting and _held(waiting) > BATCH_CHARACTERS):
                yield from _finished(tokenizer, *waiting.popleft())
        while waiting:
            yield from _finished(tokenizer, *waiting.popleft())


def _held(waiting: Iterable[tuple["_Batch", list[str], Any]]) -> int:
    """Characters that are being encoded, which take hundreds of bytes each meanwhile."""
    return sum(len(text) for _, texts, _ in waiting for text in texts)


def _finished(
    tokenizer: ChatTokenizer, batch: "_Batch", texts: Sequence[str], encoding: Future[list[Encoding]]
) -> Iterator[MaskedConversation]:
    return batch.finish(tokenizer.encoder.located(encoding.result(), texts))


class _Batch:
    """Some conversations between rendering and labelling."""

    def __init__(
        self, book: ShapeBook, items: Sequence[tuple[int, Mapping[str, Any]]], settings: MaskSettings
    ) -> None:
        self.book = book
        self.settings = settings
        self.drafter = Drafter(book, settings)
        self.drafts: list[tuple[int, Dialogue | None, list[Draft] | MaskRefused]] = []
        read = [(conversation_id, _read(conversation)) for conversation_id, conversation in items]
        if settings.handling is Handling.WHOLE:
            dialogues = [dialogue for _, dialogue in read if isinstance(dialogue, Dialogue)]
            book.render_ahead([dialogue.messages for dialogue in dialogues if dialogue.tools is None])
        for conversation_id, dialogue in read:
            if isinstance(dialogue, MaskRefused):
                self.drafts.append((conversation_id, None, dialogue))
                continue
            try:
                self.drafts.append((conversation_id, dialogue, _drafts(self.drafter, dialogue)))
            except MaskRefused as refusal:
                self.drafts.append((conversation_id, dialogue, refusal))

    def _without_tokens(self) -> list[Draft]:
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

    def _exactly(self, dialogue: Dialogue) -> list[Draft] | MaskRefused:
        """Again without the short cut: text and template together spelled a control token."""
        try:
            found = _drafts(Drafter(self.book, self.settings, short_cut=False), dialogue)
        except MaskRefused as refusal:
            return refusal
        for draft in found:
            if draft.encoded is None:
                draft.encoded = self.book.tokenizer.encoder.encode_many([draft.layout.text])[0]
        return found


def _read(conversation: Mapping[str, Any]) -> Dialogue | MaskRefused:
    try:
        return read_conversation(conversation)
    except MaskRefused as refusal:
        return refusal


@lru_cache(maxsize=512)
def _everything(messages: int) -> Part:
    return Part(tuple(range(messages)), frozenset(range(messages)))


def _drafts(drafter: Drafter, dialogue: Dialogue) -> list[Draft]:
    everything = _everything(len(dialogue.messages))
    if drafter.settings.handling is Handling.WHOLE:
        return [drafter.draft(dialogue, everything)]
    cutter = Cutter(drafter, dialogue)
    return cutter.per_turn() if drafter.settings.handling is Handling.PER_TURN else cutter.windows(everything)
