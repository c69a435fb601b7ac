"""A frozen version out in the format of another tool, with what is trained kept exact or refused.

messages, sharegpt, csv and axolotl carry every flag, openai those of assistant turns. llamafactory, trl and
alpaca have none: flags that are all equal to one of the tool's own settings become that setting; others are
refused, left out, or written as one sample for each trained turn, as asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, cast, get_args

from app.dialogue.canonical import canonical_conversation
from app.dialogue.conversation import Conversation, FrozenConversation, Message
from app.dialogue.reading import read_conversation
from app.dialogue.refusals import DialogueRefused
from app.dialogue.trained import SourceMask, masks_of, trained_places
from app.interchange.exports.record_order import ShownFirst
from app.interchange.exports.tool_configs import (
    TRAIN_FILE,
    VALIDATION_FILE,
    Written,
    axolotl_files,
    llamafactory_files,
    trl_files,
)
from app.interchange.exports.tool_records import (
    NotCarried,
    axolotl_record,
    llamafactory_record,
    openai_record,
    trl_record,
)
from app.interchange.exports.writing import (
    alpaca_line,
    csv_head,
    csv_rows,
    json_line,
    messages_line,
    sharegpt_line,
)
from app.interchange.sentences import exports as say
from app.interchange.sentences.problems import ExportRefused, LineProblem, Trouble

ExportFormat = Literal["messages", "openai", "sharegpt", "alpaca", "csv", "axolotl", "llamafactory", "trl"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
FlagChoice = Literal["refuse", "drop", "split"]
Part = Literal["all", "train", "validation"]
Create = Callable[[str], AbstractContextManager[BinaryIO]]
Conversations = Callable[[], Iterable[FrozenConversation]]

FORMAT_NAMES: dict[ExportFormat, str] = {
    "messages": "SFT Studio",
    "openai": "OpenAI",
    "sharegpt": "ShareGPT",
    "alpaca": "Alpaca",
    "csv": "CSV",
    "axolotl": "Axolotl",
    "llamafactory": "LLaMA-Factory",
    "trl": "TRL",
}
# The settings of tools without flags, the one to prefer first.
_SETTINGS: dict[ExportFormat, tuple[SourceMask, ...]] = {
    "alpaca": ("assistant",),
    "llamafactory": ("assistant", "last_assistant", "everything"),
    "trl": ("assistant", "last_assistant", "everything"),
}
_SIDE_FILES = {"axolotl": axolotl_files, "llamafactory": llamafactory_files, "trl": trl_files}
_KEPT = 20


def is_bundle(format: ExportFormat) -> bool:
    """Whether the format is several files."""
    return format in _SIDE_FILES


@dataclass(frozen=True)
class Export:
    """What is asked for. `name` is plain ASCII for files and entries, `title` is for people."""

    format: ExportFormat
    name: str
    title: str = ""
    flags: FlagChoice = "refuse"
    part: Part = "all"
    leave_out: bool = False


def file_name(asked: Export) -> str:
    """The file's name, of formats that are one file."""
    suffix = ".csv" if asked.format == "csv" else f".{asked.format}.jsonl"
    return asked.name + suffix


@dataclass
class ExportReport:
    """`samples` is more than `conversations` where each trained turn became one; `mask` is the setting that
    stands for the flags; `left_out` names the first conversations that did not fit."""

    conversations: int = 0
    samples: int = 0
    untrained: int = 0
    left_out_count: int = 0
    left_out: list[LineProblem] = field(default_factory=list)
    mask: SourceMask = "file"
    files: list[str] = field(default_factory=list)


def export_conversations(read: Conversations, asked: Export, create: Create) -> ExportReport:
    """Write the files through `create`. `read` gives the frozen conversations, each with `id` and `split`,
    anew at every call.

    Raises ExportRefused. With `leave_out` what does not fit is left out and reported; otherwise it is
    counted to the end and refused, and what was created is worth nothing.
    """
    return _Exporter(read, asked, create).run()


class _Exporter:
    def __init__(self, read: Conversations, asked: Export, create: Create) -> None:
        self._read = read
        self._asked = asked
        self._create = create
        self._report = ExportReport()
        self._has_flags = False
        self._has_reasoning = False
        self._has_tools = False

    def run(self) -> ExportReport:
        format, report = self._asked.format, self._report
        report.mask = self._setting()
        if is_bundle(format):
            for part, file in (("train", TRAIN_FILE), ("validation", VALIDATION_FILE)):
                if any(self._parts(part)):
                    self._write_file(file, part)
        else:
            self._write_file(file_name(self._asked), "all")
        if report.left_out_count and not self._asked.leave_out:
            first = report.left_out[0]
            raise NotAllCarried(first, report)
        if not report.samples:
            raise ExportRefused(say.NOTHING_TO_WRITE, format=FORMAT_NAMES[format])
        self._write_side_files()
        return report

    def _parts(self, part: str) -> Iterator[FrozenConversation]:
        for conversation in self._read():
            if all(wanted in ("all", conversation["split"]) for wanted in (part, self._asked.part)):
                yield conversation

    def _setting(self) -> SourceMask:
        """The tool's setting that all flags are equal to; "file" where the flags themselves are written."""
        settings = _SETTINGS.get(self._asked.format)
        if settings is None:
            return "file"
        if self._asked.flags == "split":
            return "last_assistant"
        possible, odd = set(settings), None
        for conversation in self._parts("all"):
            masks = masks_of(conversation)
            if odd is None and "assistant" not in masks:
                odd = conversation["id"]
            possible &= masks
        if found := next((mask for mask in settings if mask in possible), None):
            return found
        if self._asked.flags == "drop":
            return "assistant"
        name = FORMAT_NAMES[self._asked.format]
        raise ExportRefused(say.FLAGS_NOT_CARRIED, conversation=odd, format=name)

    def _write_file(self, file: str, part: str) -> None:
        report = self._report
        with self._create(file) as stream, ShownFirst(stream, is_bundle(self._asked.format)) as lines:
            report.files.append(file)
            if self._asked.format == "csv":
                stream.write(csv_head())
            for conversation in self._parts(part):
                try:
                    samples = [self._line(sample) for sample in self._samples(conversation)]
                except NotCarried as reason:
                    self._leave_out(conversation["id"], reason.trouble)
                    continue
                report.untrained += not samples
                report.conversations += bool(samples)
                report.samples += len(samples)
                for line, value in samples:
                    lines.write(line, value)

    def _leave_out(self, conversation: object, trouble: Trouble) -> None:
        report, name = self._report, FORMAT_NAMES[self._asked.format]
        report.left_out_count += 1
        if len(report.left_out) < _KEPT:
            problem = LineProblem.of(trouble, report.left_out_count, conversation=conversation, format=name)
            report.left_out.append(problem)

    def _samples(self, frozen: FrozenConversation) -> Iterator[Conversation]:
        """The conversation, or one for each of its trained turns, with the flags that the format holds."""
        conversation, format = canonical_conversation(frozen), self._asked.format
        if format != "messages":
            _refuse_faulty(conversation)
        if format not in _SETTINGS:
            yield self._for_openai(conversation) if format == "openai" else conversation
            return
        places = trained_places(conversation)
        if self._asked.flags == "split":
            for place in places:
                if conversation["messages"][place]["role"] != "assistant":
                    raise NotCarried(say.TRAINED_NOT_AN_ANSWER)
                yield _without_flags({**conversation, "messages": conversation["messages"][: place + 1]})
            return
        if self._report.mask == "last_assistant" and places != [len(conversation["messages"]) - 1]:
            raise NotCarried(say.TURNS_NOT_IN_ORDER if format == "llamafactory" else say.NOT_CARRIED)
        yield _without_flags(conversation)

    def _for_openai(self, conversation: Conversation) -> Conversation:
        """Weights stand on answers only; a question that is not trained needs none."""
        others = [message for message in conversation["messages"] if message["role"] != "assistant"]
        if self._asked.flags != "drop" and any(message.get("train") for message in others):
            raise NotCarried(say.TRAINED_NOT_AN_ANSWER)
        messages = [
            message if message["role"] == "assistant" else _without(message, "train")
            for message in conversation["messages"]
        ]
        return {**conversation, "messages": messages}

    def _line(self, conversation: Conversation) -> tuple[bytes, dict[str, Any]]:
        """The bytes, and for formats of several files the record."""
        match self._asked.format:
            case "openai":
                value = openai_record(conversation)
            case "axolotl":
                value = axolotl_record(conversation)
                self._has_flags |= any("train" in message for message in conversation["messages"])
            case "llamafactory":
                value = llamafactory_record(conversation)
            case "trl":
                value = trl_record(conversation, only_last=self._report.mask == "last_assistant")
            case _:
                return self._own_line(conversation), {}
        self._has_reasoning |= any("reasoning_content" in message for message in conversation["messages"])
        self._has_tools |= "tools" in conversation
        return json_line(value), value

    def _own_line(self, conversation: Conversation) -> bytes:
        lines: dict[str, Callable[[Conversation], bytes | None]] = {
            "messages": messages_line,
            "sharegpt": sharegpt_line,
            "alpaca": alpaca_line,
            "csv": lambda value: csv_rows(value, self._report.samples + 1),
        }
        line = lines[self._asked.format](conversation)
        if line is None:
            raise NotCarried(say.NOT_CARRIED)
        return line

    def _write_side_files(self) -> None:
        side_files, report = _SIDE_FILES.get(self._asked.format), self._report
        if side_files is None:
            return
        written = Written(
            self._asked.name,
            self._asked.title,
            VALIDATION_FILE in report.files,
            report.mask,
            self._has_flags,
            self._has_reasoning,
            self._has_tools,
        )
        for file, text in side_files(written).items():
            with self._create(file) as stream:
                stream.write(text.encode())
            report.files.append(file)


class NotAllCarried(ExportRefused):
    """Some conversations do not fit the format; the sentence is about the first, `report` counts them."""

    def __init__(self, first: LineProblem, report: ExportReport) -> None:
        super().__init__(Trouble(first.code, first.sentence.template), **first.sentence.values)
        self.report = report


def _refuse_faulty(conversation: Conversation) -> None:
    """Versions may hold conversations from before every door checked them."""
    try:
        read_conversation(conversation)
    except DialogueRefused as refused:
        raise NotCarried(say.FAULTY) from refused


def _without(message: Message, key: str) -> Message:
    return cast(Message, {name: value for name, value in message.items() if name != key})


def _without_flags(conversation: Conversation) -> Conversation:
    return {**conversation, "messages": [_without(message, "train") for message in conversation["messages"]]}
