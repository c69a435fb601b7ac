"""The mask check over a whole version: every conversation masked and checked in one stream,
with a report and a hash.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from itertools import chain, islice

from app.dialogue.conversation import Conversation
from app.masking.checking.checks import run_checks
from app.masking.checking.report import VersionReport
from app.masking.checking.second_encoding import SecondEncoding, second_encodings
from app.masking.samples.arrays import ArraysBuilder, ArraysHash, MaskArrays
from app.masking.samples.sample import MaskedConversation, MaskedSample
from app.masking.samples.stream import in_batches, mask_conversations
from app.masking.settings import MaskSettings
from app.masking.tokenization.tokenizer import ChatTokenizer

Conversations = Iterable[tuple[int, Conversation]]


def verify(
    tokenizer: ChatTokenizer,
    conversations: Conversations,
    settings: MaskSettings,
    *,
    base_model: str = "",
    validation_ids: frozenset[int] = frozenset(),
    progress: Callable[[int], None] | None = None,
    moment: datetime | None = None,
) -> tuple[VersionReport, MaskArrays]:
    """Mask and check every (id, conversation); the arrays are the very ones to train on,
    and carry the report's hash.

    `progress` is called with the number of conversations done; `moment` is for templates that write the date.
    """
    report = VersionReport(settings, base_model or tokenizer.name)
    builder = ArraysBuilder(settings, report.base_model, validation_ids)
    _check_all(report, tokenizer, conversations, builder, progress=progress, moment=moment)
    arrays = builder.finish()
    report.hash = arrays.hash
    return report, arrays


def verify_without_arrays(
    tokenizer: ChatTokenizer,
    conversations: Conversations,
    settings: MaskSettings,
    *,
    base_model: str = "",
    moment: datetime | None = None,
) -> VersionReport:
    """The same report with the same hash, in memory that does not grow with the number of conversations."""
    report = VersionReport(settings, base_model or tokenizer.name)
    with ArraysHash() as hashed:
        _check_all(report, tokenizer, conversations, hashed, moment=moment)
        report.hash = hashed.finish()
    return report


def _check_all(
    report: VersionReport,
    tokenizer: ChatTokenizer,
    conversations: Conversations,
    samples_go_to: ArraysBuilder | ArraysHash,
    *,
    progress: Callable[[int], None] | None = None,
    moment: datetime | None,
) -> None:
    moment = (moment or datetime.now()).replace(microsecond=0)  # noqa: DTZ005  (as transformers: local)
    report.moment = moment if tokenizer.reads_the_clock else None
    report.tokenizer_hash = tokenizer.fingerprint
    stream = mask_conversations(tokenizer, conversations, report.settings, moment=moment)
    for batch in _with_second_encodings(tokenizer, stream):
        for masked, samples, encodings in batch:
            checks = [run_checks(tokenizer, *found) for found in zip(samples, encodings, strict=True)]
            report.add(masked, samples, checks)
            for sample in masked.samples:
                samples_go_to.add(sample.conversation_id, sample.input_ids, sample.labels)
        if progress is not None:
            progress(report.conversations)


ToCheck = tuple[MaskedConversation, list[MaskedSample], list[SecondEncoding]]


def _with_second_encodings(
    tokenizer: ChatTokenizer, stream: Iterator[MaskedConversation]
) -> Iterator[list[ToCheck]]:
    """Batches of conversations with the samples to check and a second encoding of each;
    the next batch is encoded while one is checked.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="second-encoding") as encoder:
        waiting: deque[
            tuple[list[MaskedConversation], list[list[MaskedSample]], Future[list[SecondEncoding]]]
        ]
        waiting = deque()
        for batch in in_batches(stream, _characters):
            # a sample that trains nothing is only a failure when its whole conversation trains nothing
            checked = [masked.samples or masked.untrained for masked in batch]
            samples = list(chain.from_iterable(checked))
            waiting.append((batch, checked, encoder.submit(second_encodings, tokenizer, samples)))
            if len(waiting) > 1:
                yield _to_check(*waiting.popleft())
        while waiting:
            yield _to_check(*waiting.popleft())


def _characters(masked: MaskedConversation) -> int:
    return sum(len(sample.text) for sample in (*masked.samples, *masked.untrained))


def _to_check(
    batch: Sequence[MaskedConversation],
    checked: Sequence[list[MaskedSample]],
    encodings: Future[list[SecondEncoding]],
) -> list[ToCheck]:
    found = iter(encodings.result())
    return [
        (masked, samples, list(islice(found, len(samples))))
        for masked, samples in zip(batch, checked, strict=True)
    ]
