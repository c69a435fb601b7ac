"""`import`: a file into a dataset, all of it or nothing."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import (
    DatasetOption,
    EncodingOption,
    EntryOption,
    InfoOption,
    JsonOption,
    MaskOption,
    TrainFieldOption,
)
from app.cli.progress import JobProgress
from app.cli.text_files import read_text_file, unreadable
from app.client.rest import StudioClient
from app.client.speaking import ServerRefused
from app.client.waiting import wait_for_job
from app.core.console import CommandFailed, print_json, say
from app.core.i18n import gettext as _
from app.dialogue.limits import MIB, spoken_size
from app.imports.mapping_document import MAX_BYTES
from app.imports.models import WAITS
from app.imports.schemas import ImportOut, ImportRemarkOut
from app.imports.work import SameQuestions
from app.jobs.schemas import JobOut

_SHOWN_REMARKS: Final = 10
_WORTH_A_LINE_BYTES: Final = 16 * MIB
_MAPPING_FILES: Final = (".json", ".yaml", ".yml")


class FileFormat(StrEnum):
    """Formats that can be imported."""

    AUTO = "auto"
    MESSAGES = "messages"
    SHAREGPT = "sharegpt"
    ALPACA = "alpaca"
    CSV = "csv"
    PARQUET = "parquet"


SameOption = Annotated[
    SameQuestions,
    typer.Option(
        "--same-questions",
        help=_(
            "What becomes of records that ask the same as a conversation of the dataset and answer otherwise: keep both, "
            "replace the old answer as a new revision, skip the new one, or ask: nothing comes in while there are any."
        ),
    ),
]
MappingOption = Annotated[
    str,
    typer.Option(
        "--mapping",
        help=_(
            "How a file of an unknown layout is read: a JSON or YAML file, or the name of a mapping kept on the server."
        ),
    ),
]


def import_file(
    file: Annotated[Path, typer.Argument(help=_("The file to import."))],
    dataset: DatasetOption,
    format: Annotated[FileFormat, typer.Option("--format", help=_("Format of the file."))] = FileFormat.AUTO,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help=_("Import the good lines even if others are bad."))
    ] = False,
    dataset_info: InfoOption = None,
    dataset_info_entry: EntryOption = "",
    mask: MaskOption = "file",
    train_field: TrainFieldOption = "",
    encoding: EncodingOption = "auto",
    mapping: MappingOption = "",
    same_questions: SameOption = "keep",
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `import`."""
    _check_file(file)
    if dataset_info:
        _check_file(dataset_info)
    told: dict[str, str] = {
        "dataset_info_entry": dataset_info_entry,
        "mask": mask,
        "train_field": train_field,
        "encoding": encoding,
        "mapping": _mapping(mapping),
        "same_questions": same_questions,
    }
    if (size := file.stat().st_size) > _WORTH_A_LINE_BYTES:
        say(_("Sending %(file)s (%(size)s)…") % {"file": file.name, "size": spoken_size(size)})
    with connect(url) as client:
        try:
            report = client.import_file(
                dataset, file, format=format.value, skip_bad=skip_bad, told=told, dataset_info=dataset_info
            )
        except ServerRefused as refused:
            if not isinstance(refused.body, dict) or "problems" not in refused.body:
                raise
            report = client.understood(ImportOut, refused.body)
        if report.job is not None:
            report = _follow(client, report.job, file)
        _show(report, as_json=as_json)
        _require_something(file, report, skip_bad=skip_bad)


def _follow(client: StudioClient, job: JobOut, file: Path) -> ImportOut:
    """The report, once a worker has read and stored the file."""
    with JobProgress(file.name) as progress:
        wait_for_job(client, job, progress, what=_("The import"))
    return client.import_of_job(job.id)


def _require_something(file: Path, report: ImportOut, *, skip_bad: bool) -> None:
    """Raises CommandFailed where problems or an open choice kept everything out."""
    if any(note.code == WAITS for note in report.notes):
        raise _choice_wanted(file, report)
    brought = report.accepted or report.duplicates or report.same_questions
    if report.problem_count and not (skip_bad and brought):
        raise _nothing_came_in(file, report, skip_bad=skip_bad)


def _nothing_came_in(file: Path, report: ImportOut, *, skip_bad: bool) -> CommandFailed:
    if skip_bad:
        return CommandFailed(_("No line of %(file)s could be imported.") % {"file": file.name})
    return CommandFailed(
        _(
            "Nothing was imported from %(file)s (problems: %(count)d). Correct them, or take only the good "
            "lines with --skip-bad."
        )
        % {"file": file.name, "count": report.problem_count}
    )


def _choice_wanted(file: Path, report: ImportOut) -> CommandFailed:
    text = _(
        "Nothing was imported from %(file)s: %(count)d of its conversations ask the same as ones that are there and answer "
        "otherwise. Choose with --same-questions keep, replace or skip."
    )
    return CommandFailed(text % {"file": file.name, "count": report.same_questions})


def _mapping(value: str) -> str:
    """The text of the file of this name, else the name as it is."""
    path = Path(value)
    if not value or not (path.suffix.lower() in _MAPPING_FILES or path.is_file()):
        return value
    # A text of one line is no name.
    return read_text_file(path, MAX_BYTES) + "\n"


def _check_file(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            empty = not stream.read(1)
    except (OSError, ValueError) as error:
        raise unreadable(str(file), error) from error
    if empty:
        raise CommandFailed(_("The file %(path)s is empty.") % {"path": file})


def _show(report: ImportOut, *, as_json: bool) -> None:
    _show_remarks(report.problems, report.problem_count)
    if report.notes:
        say(_("Read, but not exactly as it stands in the file:"))
        _show_remarks(report.notes, report.note_count)
    say(
        _(
            "%(file)s (%(format)s): imported %(accepted)d, already there %(duplicates)d, problems %(problems)d, "
            "notes %(notes)d"
        )
        % {
            "file": report.filename,
            "format": report.format,
            "accepted": report.accepted,
            "duplicates": report.duplicates,
            "problems": report.problem_count,
            "notes": report.note_count,
        }
    )
    if as_json:
        print_json(report.model_dump(mode="json"))


def _show_remarks(remarks: list[ImportRemarkOut], count: int) -> None:
    for remark in remarks[:_SHOWN_REMARKS]:
        say(f"{remark.member}: {remark.message}" if remark.member else remark.message)
    if count > _SHOWN_REMARKS:
        say(_("… and %(count)d more") % {"count": count - _SHOWN_REMARKS})
