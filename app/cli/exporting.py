"""`export`: a frozen version as files in the format of another tool."""

import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import DatasetOption, JsonOption
from app.client.pipeline import require_dataset
from app.client.rest import StudioClient
from app.core.console import CommandFailed, print_json, say
from app.core.i18n import gettext as _
from app.interchange.exports.exporting import ExportFormat, FlagChoice, Part
from app.versions.schemas import VersionOut

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def export(
    dataset: DatasetOption,
    format: Annotated[ExportFormat, typer.Option("--as", help=_("Format to write."))],
    out: Annotated[Path, typer.Option("--out", help=_("Folder for the files; made if absent."))],
    version: Annotated[
        int | None, typer.Option("--version", help=_("Number of the version; without it the newest."))
    ] = None,
    flags: Annotated[
        FlagChoice,
        typer.Option(
            "--flags",
            help=_(
                "Where the format has no flags for single turns: refuse, drop them, or split into one sample for "
                "each trained turn."
            ),
        ),
    ] = "refuse",
    part: Annotated[
        Part, typer.Option("--part", help=_("All conversations, or one part of the split."))
    ] = "all",
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help=_("Leave out conversations that do not fit the format."))
    ] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `export`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error
    with connect(url) as client:
        found = _require_version(client, dataset, version)
        params = {"as": format, "flags": flags, "part": part, "leave_out": json.dumps(leave_out)}
        try:
            report, files = _download(client, found.id, params, out)
        except OSError as error:
            raise _unwritable(out, error) from error
    if report["left_out"]:
        say(_("Left out, because they do not fit the format: %(count)d") % {"count": report["left_out"]})
    if report["untrained"]:
        say(_("Left out, because no turn of theirs is trained: %(count)d") % {"count": report["untrained"]})
    say(
        _(
            "Version %(number)d (conversations: %(conversations)d, samples: %(samples)d) is in %(folder)s: %(files)s"
        )
        % {**report, "number": found.number, "folder": out, "files": ", ".join(files)}
    )
    if as_json:
        paths = [str(out / name) for name in files]
        print_json({**report, "version_id": found.id, "version": found.number, "files": paths})


def _unwritable(folder: Path, error: OSError) -> CommandFailed:
    text = _("The folder %(path)s cannot be written: %(reason)s.")
    return CommandFailed(text % {"path": folder, "reason": error.strerror or error})


def _require_version(client: StudioClient, name: str, number: int | None) -> VersionOut:
    found = client.versions(require_dataset(client, name).id)
    if not found:
        raise CommandFailed(
            _(
                "The dataset “%(name)s” has no version yet. Freeze one on its page, or with “sft-studio train”."
            )
            % {"name": name}
        )
    if number is None:
        return found[0]
    for version in found:
        if version.number == number:
            return version
    numbers = ", ".join(str(version.number) for version in found)
    raise CommandFailed(
        _("The dataset “%(name)s” has no version %(number)d. There are: %(numbers)s.")
        % {"name": name, "number": number, "numbers": numbers}
    )


def _download(
    client: StudioClient, version_id: int, params: dict[str, str], out: Path
) -> tuple[dict[str, Any], list[str]]:
    """The server's report and the names of the files, which are all there or none."""
    with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as name:
        folder = Path(name)
        whole = folder / ".download"
        with whole.open("wb") as file:
            filename, report = client.export_version(version_id, params, file)
        if filename.endswith(".zip"):
            with zipfile.ZipFile(whole) as archive:
                for member in archive.namelist():
                    archive.extract(_plain(member), folder)
            whole.unlink()
        else:
            whole.rename(folder / _plain(filename))
        files = sorted(path.name for path in folder.iterdir())
        for file_name in files:
            if (out / file_name).exists():
                raise CommandFailed(
                    _("%(path)s is already there. Name another folder with --out.")
                    % {"path": out / file_name}
                )
        for file_name in files:
            (folder / file_name).rename(out / file_name)
    return report, files


def _plain(name: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        raise CommandFailed(
            _("The server sent a file with the name “%(name)s”, which is refused.") % {"name": name}
        )
    return name
