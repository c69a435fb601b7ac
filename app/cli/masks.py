"""`sft-studio masks preview|verify`: what will be trained, told from a file, without a server or a
database.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from app.masking import (
    Argument,
    ChatTokenizer,
    Handling,
    MaskingError,
    MaskRefused,
    MaskSettings,
    TrainOn,
    VersionReport,
    preview,
    print_preview,
    verify,
)

app = typer.Typer(help="Show and check which tokens will be trained.", no_args_is_help=True)

Model = Annotated[
    str, typer.Option("--model", help="A model folder, a prepared base model, or a cached hub id.")
]
Input = Annotated[
    str, typer.Option("--input", help="JSON Lines of {“messages”: […]}, or one JSON object; - reads stdin.")
]
Strategy = Annotated[TrainOn, typer.Option("--strategy", help="Which turns are trained.")]
HandlingOption = Annotated[
    Handling, typer.Option("--handling", help="How many samples a conversation becomes.")
]
MaxLength = Annotated[int | None, typer.Option("--max-length", min=1, help="The most tokens of a sample.")]
TemplateArgument = Annotated[
    list[str] | None,
    typer.Option(
        "--template-argument",
        metavar="NAME=VALUE",
        help="An argument of the chat template, such as enable_thinking=false. May be repeated.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


class CommandFailed(Exception):
    """One clear line for standard error."""


def resolve_model(reference: str) -> Path:
    """A local folder, else a prepared model of this studio, else the local hub cache; never the network."""
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    data = Path(os.environ.get("SFT_STUDIO_DATA") or Path.home() / ".local/share/sft-studio")
    slug = re.sub(r"[^A-Za-z0-9._-]+", "--", reference).strip("-.")
    prepared = data / "models" / slug
    if slug and (prepared / "tokenizer.json").is_file():
        return prepared
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", reference):
        cached = _cached_snapshot(reference)
        if cached is not None:
            return cached
    raise CommandFailed(
        f"No model “{reference}”: it is not a folder, not prepared under {data / 'models'}, "
        "and not in the local hub cache. Give the path of a model folder."
    )


def _cached_snapshot(reference: str) -> Path | None:
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = cache / f"models--{reference.replace('/', '--')}"
    main = repository / "refs" / "main"
    names = [main.read_text().strip()] if main.is_file() else []
    snapshots = [repository / "snapshots" / name for name in names]
    snapshots += sorted(
        (repository / "snapshots").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return next((path for path in snapshots if (path / "tokenizer.json").is_file()), None)


def read_conversations(source: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(line number, conversation) from JSON Lines, or from one JSON object spread over lines."""
    if source == "-":
        yield from _parse(sys.stdin, "standard input")
        return
    try:
        with Path(source).open(encoding="utf-8-sig") as file:
            yield from _parse(file, source)
    except OSError as error:
        raise CommandFailed(f"Cannot read {source}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{source} is not UTF-8: {error.reason} at byte {error.start}.") from error


def _parse(file: TextIO, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    found = 0
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if found:
                raise CommandFailed(f"{name}, line {number}: not JSON ({error}).") from error
            value = _whole_document(line + file.read(), name, number, error)
        if not isinstance(value, dict):
            raise CommandFailed(
                f"{name}, line {number}: expected an object with “messages”, found {type(value).__name__}."
            )
        found += 1
        yield number, value
    if not found:
        raise CommandFailed(f"{name} holds no conversation.")


def _whole_document(text: str, name: str, number: int, first: ValueError) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise CommandFailed(f"{name}, line {number}: not JSON ({first}).") from first


def parse_template_arguments(pairs: list[str]) -> dict[str, Argument]:
    """`name=value` pairs; true, false and numbers as JSON spells them, anything else is text.

    A value in double quotes is text whatever it looks like.
    """
    found: dict[str, Argument] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise CommandFailed(
                "--template-argument wants name=value, as in --template-argument enable_thinking=false; "
                f"“{pair}” is not that."
            )
        if name in found:
            raise CommandFailed(f"--template-argument names {name} twice. Keep one of them.")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found[name] = value if isinstance(value, bool | int | float | str) else text
    return found


def _settings(
    strategy: TrainOn, handling: Handling, max_length: int | None, template_arguments: list[str] | None
) -> MaskSettings:
    return MaskSettings(
        train_on=strategy,
        handling=handling,
        max_length=max_length,
        template_arguments=parse_template_arguments(template_arguments or []),
    )


@app.command("preview")
def preview_command(
    model: Model,
    input: Input,
    strategy: Strategy = TrainOn.ASSISTANT,
    max_length: MaxLength = None,
    handling: HandlingOption = Handling.WHOLE,
    template_argument: TemplateArgument = None,
    as_json: AsJson = False,
) -> None:
    """Show every token, whether it is trained, and the checks."""
    console = Console(highlight=False, markup=False, emoji=False)
    refused = 0
    with _one_line_on_failure():
        settings = _settings(strategy, handling, max_length, template_argument)
        tokenizer = ChatTokenizer.from_folder(resolve_model(model))
        for number, conversation in read_conversations(input):
            try:
                shown = preview(tokenizer, conversation, settings)
            except MaskRefused as refusal:
                refused += 1
                _complain(f"line {number}: {refusal}")
                continue
            for sample in shown:
                if as_json:
                    sys.stdout.write(json.dumps(sample, ensure_ascii=False) + "\n")
                else:
                    print_preview(sample, console)
    if refused:
        raise typer.Exit(1)


@app.command("verify")
def verify_command(
    model: Model,
    input: Input,
    strategy: Strategy = TrainOn.ASSISTANT,
    max_length: MaxLength = None,
    handling: HandlingOption = Handling.WHOLE,
    template_argument: TemplateArgument = None,
    as_json: AsJson = False,
) -> None:
    """Check the masks of every conversation. Exits with 1 when a check fails."""
    with _one_line_on_failure():
        settings = _settings(strategy, handling, max_length, template_argument)
        tokenizer = ChatTokenizer.from_folder(resolve_model(model))
        report, _ = verify(tokenizer, read_conversations(input), settings, base_model=model)
    if as_json:
        sys.stdout.write(json.dumps(report.to_dict(), ensure_ascii=False) + "\n")
    else:
        _print_report(report)
    if not report.green:
        failed = ", ".join(report.failed) or "nothing is trained"
        _complain(f"{report.failing_conversations} of {report.conversations} conversations failed: {failed}.")
        raise typer.Exit(1)


def _print_report(report: VersionReport) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    shown = report.to_dict()
    for name in ("conversations", "samples", "refused", "dropped", "tokens", "trained", "skipped", "longest"):
        console.print(f"{name:<14}{shown[name]}")
    console.print(f"{'truncated':<14}{report.truncated_tokens} tokens in {report.truncated_samples} samples")
    for check in shown["checks"]:
        console.print(
            "passed" if check["passed"] else "FAILED",
            check["name"],
            style="" if check["passed"] else "bold red",
        )
    for failure in shown["failures"]:
        where = f"line {failure['conversation_id']}"
        if failure["token"] is not None:
            where += f", token {failure['token']}"
        console.print(f"{where}: {failure['check']}: {failure['detail']}", soft_wrap=True)
    console.print(f"{'hash':<14}{report.hash}", soft_wrap=True)


@contextmanager
def _one_line_on_failure() -> Iterator[None]:
    try:
        yield
    except (CommandFailed, MaskingError) as error:
        _complain(str(error))
        raise typer.Exit(2) from error
    except BrokenPipeError as error:
        raise typer.Exit(1) from error


def _complain(line: str) -> None:
    sys.stderr.write(" ".join(line.split()) + "\n")
