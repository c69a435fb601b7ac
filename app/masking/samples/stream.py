"""Conversations to masked samples, as a stream: render many, encode them as one batch, label them.

Batches are encoded side by side in threads of our own; see `app.masking.threads` for the tokenizer library's.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from tokenizers import Encoding

from app.dialogue.conversation import Conversation
from app.masking.errors import MaskRefused
from app.masking.samples.conversation import Dialogue, read_conversation
from app.masking.samples.rendered import RenderedSample, SampleRenderer
from app.masking.samples.sample import MaskedConversation, Part
from app.masking.samples.windows import Windows
from app.masking.settings import Handling, MaskSettings
from app.masking.tokenization.encoded import Encoded
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.known_layouts import KnownLayouts
from app.unlocked import cached_property

BATCH = 256
# Long conversations make smaller batches, so that memory does not follow the longest ones.
BATCH_CHARACTERS = 1_000_000
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# One more than can run, for they also wait for the interpreter to hand their results over.
AHEAD = _CORES + 1
MOST_CHARACTERS = BATCH_CHARACTERS * max(1, _CORES // 2)

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


def _characters(item: tuple[int, Conversation]) -> int:
    """Of the messages' texts; what is no message counts nothing, for it is refused."""
    messages = item[1].get("messages")
    held = 0
    for message in messages if isinstance(messages, list) else ():
        text = message.get("content") if isinstance(message, dict) else None
        if isinstance(text, str | list):
            held += len(text)
    return held


def mask_conversation(
    tokenizer: ChatTokenizer,
    conversation: Conversation,
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
    conversations: Iterable[tuple[int, Conversation]],
    settings: MaskSettings,
    *,
    moment: datetime | None = None,
) -> Iterator[MaskedConversation]:
    """Mask a stream of (id, conversation), in order, a batch encoding at a time.
    Refusals are returned, not raised.

    While one batch is encoded (outside the interpreter lock) the next one is laid out, and the one after it is
    rendered in its own process. A template that writes the date sees the same `moment` throughout, the
    stream's beginning where none is given.
    """
    moment = moment or datetime.now()  # noqa: DTZ005  (transformers writes the local date)
    tokenizer = tokenizer.rendering_with(settings.template_arguments, moment=moment)
    layouts = KnownLayouts(tokenizer)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="render") as renderer,
        ThreadPoolExecutor(AHEAD, thread_name_prefix="encode") as encoder,
    ):
        waiting: deque[tuple[_Batch, list[str], Future[list[Encoding]]]] = deque()
        batches = (
            _Batch(layouts, items, settings, renderer) for items in in_batches(conversations, _characters)
        )
        for batch in _after_the_next(batches):
            texts = batch.texts()
            waiting.append((batch, texts, encoder.submit(tokenizer.encoder.batch, texts)))
            while len(waiting) > AHEAD or (waiting and _held(waiting) > MOST_CHARACTERS):
                yield from _finished(tokenizer, *waiting.popleft())
        while waiting:
            yield from _finished(tokenizer, *waiting.popleft())


def _after_the_next(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each when the next one has been begun."""
    before: list[Item] = []
    for item in items:
        yield from before
        before = [item]
    yield from before


def _held(waiting: Iterable[tuple["_Batch", list[str], Any]]) -> int:
    """Characters that are being encoded, which take hundreds of bytes each meanwhile."""
    return sum(len(text) for _, texts, _ in waiting for text in texts)


def _finished(
    tokenizer: ChatTokenizer, batch: "_Batch", texts: Sequence[str], encoding: Future[list[Encoding]]
) -> Iterator[MaskedConversation]:
    return batch.finish(tokenizer.encoder.located(encoding.result(), texts))


class _Batch:
    """Some conversations between reading and labelling; they are rendered from the beginning on."""

    def __init__(
        self,
        layouts: KnownLayouts,
        items: Sequence[tuple[int, Conversation]],
        settings: MaskSettings,
        renderer: Executor,
    ) -> None:
        self.layouts = layouts
        self.settings = settings
        self.sample_renderer = SampleRenderer(layouts, settings)
        self.read = [(conversation_id, _read(conversation)) for conversation_id, conversation in items]
        dialogues = [dialogue for _, dialogue in self.read if isinstance(dialogue, Dialogue)]
        whole = dialogues if settings.handling is Handling.WHOLE else []
        self.rendered = renderer.submit(
            layouts.rendered, [one.messages for one in whole if one.tools is None]
        )

    @cached_property
    def samples(self) -> list[tuple[int, Dialogue | None, list[RenderedSample] | MaskRefused]]:
        """By conversation: its dialogue unless it cannot be read, and its samples or why there are none."""
        self.layouts.remember(self.rendered.result())
        samples: list[tuple[int, Dialogue | None, list[RenderedSample] | MaskRefused]] = []
        for conversation_id, dialogue in self.read:
            if isinstance(dialogue, MaskRefused):
                samples.append((conversation_id, None, dialogue))
                continue
            try:
                samples.append((conversation_id, dialogue, _samples(self.sample_renderer, dialogue)))
            except MaskRefused as refusal:
                samples.append((conversation_id, dialogue, refusal))
        return samples

    def _without_tokens(self) -> list[RenderedSample]:
        lists = (found for _, _, found in self.samples if isinstance(found, list))
        return [one for found in lists for one in found if one.encoded is None]

    def texts(self) -> list[str]:
        return [one.layout.text for one in self._without_tokens()]

    def finish(self, encoded: Sequence[Encoded]) -> Iterator[MaskedConversation]:
        for one, encoding in zip(self._without_tokens(), encoded, strict=True):
            one.encoded = encoding
        for conversation_id, dialogue, found in self.samples:
            if isinstance(found, list) and not all(one.has_its_controls(self.layouts) for one in found):
                assert dialogue is not None
                found = self._exactly(dialogue)
            if isinstance(found, MaskRefused):
                yield MaskedConversation(conversation_id, [], refusal=found)
                continue
            masked = MaskedConversation(conversation_id, [])
            for one in found:
                sample = one.labelled(conversation_id, self.settings)
                (masked.samples if sample.trained else masked.untrained).append(sample)
            yield masked

    def _exactly(self, dialogue: Dialogue) -> list[RenderedSample] | MaskRefused:
        """Again without the short cut: text and template together spelled a control token."""
        try:
            found = _samples(SampleRenderer(self.layouts, self.settings, short_cut=False), dialogue)
        except MaskRefused as refusal:
            return refusal
        for one in found:
            if one.encoded is None:
                one.encoded = self.layouts.tokenizer.encoder.encode_many([one.layout.text])[0]
        return found


def _read(conversation: Conversation) -> Dialogue | MaskRefused:
    try:
        return read_conversation(conversation)
    except MaskRefused as refusal:
        return refusal


@lru_cache(maxsize=512)
def _everything(messages: int) -> Part:
    return Part(tuple(range(messages)), frozenset(range(messages)))


def _samples(renderer: SampleRenderer, dialogue: Dialogue) -> list[RenderedSample]:
    everything = _everything(len(dialogue.messages))
    if renderer.settings.handling is Handling.WHOLE:
        return [renderer.render(dialogue, everything)]
    windows = Windows(renderer, dialogue)
    return (
        windows.per_turn() if renderer.settings.handling is Handling.PER_TURN else windows.sliding(everything)
    )
