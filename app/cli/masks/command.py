"""`sft-studio masks preview|verify`: what will be trained, told from a file, without a server or a database.

Results go to standard output: JSON in English for scripts, or text in the reader's language. Exit codes: 0 all
right, 1 something is refused or red, 2 nothing could be judged.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.exit_codes import NOT_JUDGED, RED
from app.cli.masks.options import with_mask_options
from app.cli.masks.reading import (
    named_by_line,
    read_conversations,
    read_template,
    resolve_model,
)
from app.cli.masks.source import with_source_options
from app.cli.masks.view import print_report, print_sample
from app.cli.options import JsonOption
from app.core.console import CommandFailed, fail_line
from app.core.i18n import gettext as _
from app.core.i18n import say
from app.dialogue.conversation import Conversation
from app.interchange.reading import ParsedConversation, Source
from app.interchange.sentences.problems import LineProblem
from app.mask_checks.report import MaskReport
from app.masking import (
    ChatTokenizer,
    MaskedConversation,
    MaskingError,
    MaskRefused,
    MaskSettings,
    mask_conversation,
    preview_sample,
    verify_without_arrays,
)

app = typer.Typer(no_args_is_help=True)

Model = Annotated[
    str, typer.Option("--model", help=_("A model folder, a prepared base model, or a cached hub id."))
]
Input = Annotated[
    str,
    typer.Option("--input", help=_("A file of dialogues, as an import reads it; - reads stdin.")),
]
TemplateFile = Annotated[
    Path | None,
    typer.Option("--chat-template", metavar="FILE", help=_("A chat template to use instead of the model's.")),
]
Moment = Annotated[
    datetime | None,
    typer.Option(
        "--date",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        help=_("The date that a template which writes one sees; without it now."),
    ),
]


@app.command("preview", help=_("Show every token, whether it is trained, and the checks."))
@with_mask_options
@with_source_options
def preview_command(
    model: Model,
    input: Input,
    settings: Callable[[], MaskSettings],
    source: Callable[[], Source],
    chat_template: TemplateFile = None,
    date: Moment = None,
    as_json: JsonOption = False,
) -> None:
    """Command `masks preview`: one JSON object a sample, or a line a token."""
    refused = 0
    with _one_line_on_failure():
        chosen = settings()
        tokenizer = _tokenizer(model, chat_template)
        for item in read_conversations(input, source()):
            if not isinstance(item, ParsedConversation):
                refused += isinstance(item, LineProblem)
                fail_line(named_by_line(item))
                continue
            try:
                masked = mask_conversation(tokenizer, item.conversation, chosen, moment=date)
            except MaskRefused as refusal:
                refused += 1
                reason = {"line": item.line, "reason": _sentence(refusal)}
                fail_line(_("line %(line)d: %(reason)s") % reason)
                continue
            for sample in masked.samples or masked.untrained:
                if as_json:
                    _print_line(preview_sample(tokenizer, sample))
                else:
                    print_sample(tokenizer, sample)
    if refused:
        raise typer.Exit(RED)


@app.command("verify", help=_("Check the masks of every conversation. Exits with 1 when a check fails."))
@with_mask_options
@with_source_options
def verify_command(
    model: Model,
    input: Input,
    settings: Callable[[], MaskSettings],
    source: Callable[[], Source],
    chat_template: TemplateFile = None,
    date: Moment = None,
    as_json: JsonOption = False,
) -> None:
    """Command `masks verify`: the report over all conversations."""
    with _one_line_on_failure():
        chosen = settings()
        tokenizer = _tokenizer(model, chat_template)
        problems: list[LineProblem] = []
        conversations = _conversations(input, source(), problems)
        found = verify_without_arrays(tokenizer, conversations, chosen, base_model=model, moment=date)
        for problem in problems:
            refusal = MaskRefused(problem.sentence)
            found.add(MaskedConversation(problem.line, [], refusal=refusal), [], [])
        report = MaskReport.of(found)
        if as_json:
            _print_line(headless(report))
        else:
            print_report(report)
    if not report.green:
        failed = ", ".join(found.failed) or _("nothing is trained")
        fail_line(
            _("%(failing)d of %(count)d conversations failed: %(checks)s.")
            % {"failing": report.failing_conversations, "count": report.conversations, "checks": failed}
        )
        raise typer.Exit(RED)


def _conversations(
    file: str, source: Source, problems: list[LineProblem]
) -> Iterator[tuple[int, Conversation]]:
    """(line number, conversation); what an import would refuse goes to `problems`."""
    for item in read_conversations(file, source):
        if isinstance(item, ParsedConversation):
            yield item.line, item.conversation
        elif isinstance(item, LineProblem):
            problems.append(item)
        else:
            fail_line(named_by_line(item))


def _tokenizer(model: str, chat_template: Path | None) -> ChatTokenizer:
    """The model's, with another template where one is given."""
    template = read_template(chat_template) if chat_template else None
    return ChatTokenizer.from_folder(resolve_model(model), chat_template=template)


def headless(report: MaskReport) -> dict[str, Any]:
    """The report as scripts get it: its own keys, and the settings beside them, the strategy by its older name too."""
    settings = report.settings.model_dump(mode="json")
    return {**report.to_json(), **settings, "strategy": settings["train_on"]}


def _print_line(value: Mapping[str, Any]) -> None:
    only_ascii = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(value, ensure_ascii=only_ascii) + "\n")


def _sentence(error: MaskingError) -> str:
    """The error in the reader's language."""
    return say(error.sentence)


@contextmanager
def _one_line_on_failure() -> Iterator[None]:
    try:
        yield
    except MaskingError as error:
        fail_line(_sentence(error))
        raise typer.Exit(NOT_JUDGED) from error
    except CommandFailed as error:
        fail_line(str(error))
        raise typer.Exit(NOT_JUDGED) from error
