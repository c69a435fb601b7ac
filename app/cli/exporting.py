"""`export`: a frozen version as files in the format of another tool, or a run for another program."""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.connection import UrlOption, connect
from app.cli.exporting_runs import PARTIAL, export_run
from app.cli.options import JsonOption
from app.cli.pushing import own_hub
from app.client.pipeline import require_dataset
from app.client.rest import StudioClient
from app.core.console import CommandFailed, print_json, say
from app.core.i18n import gettext as _
from app.exports.kinds import BY_NAME
from app.files import scratch_folder
from app.interchange.exports.exporting import EXPORT_FORMATS, FlagChoice, Part
from app.versions.schemas import VersionOut

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


OutOption = Annotated[Path, typer.Option("--out", help=_("Folder for the files; made if absent."))]
AsOption = Annotated[
    str,
    typer.Option(
        "--as",
        help=_("What to write. Of a version: %(formats)s. Of a run: %(kinds)s.")
        % {"formats": ", ".join(EXPORT_FORMATS), "kinds": ", ".join(BY_NAME)},
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=_("With --run: a choice of the kind, such as precision=q8_0. May be repeated."),
    ),
]
PushOption = Annotated[
    str | None,
    typer.Option(
        "--push",
        metavar="OWNER/NAME",
        help=_(
            "With --run: push the files to this repository of a model hub too, with the token in HF_TOKEN."
        ),
    ),
]
FlagsOption = Annotated[
    FlagChoice,
    typer.Option(
        "--flags",
        help=_(
            "Where the format has no flags for single turns: refuse, drop them, or split into one sample for "
            "each trained turn."
        ),
    ),
]


def export(
    out: OutOption,
    format: AsOption,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help=_("Name of the dataset whose version is written."))
    ] = None,
    run: Annotated[
        int | None, typer.Option("--run", help=_("Id of the run that is taken elsewhere."))
    ] = None,
    choices: SetOption = None,
    version: Annotated[
        int | None, typer.Option("--version", help=_("Number of the version; without it the newest."))
    ] = None,
    flags: FlagsOption = "refuse",
    part: Annotated[
        Part, typer.Option("--part", help=_("All conversations, or one part of the split."))
    ] = "all",
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help=_("Leave out conversations that do not fit the format."))
    ] = False,
    push: PushOption = None,
    public: Annotated[bool, typer.Option("--public", help=_("With --push: everybody may see it."))] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `export`."""
    _require_one_of(dataset, run, format)
    of_versions = (version, flags, part, leave_out) != (None, "refuse", "all", False)
    if (run is not None and of_versions) or (run is None and (choices or push)) or (public and not push):
        raise typer.BadParameter(
            _(
                "--version, --flags, --part and --leave-out go with --dataset; --set and --push go with --run, --public "
                "with --push."
            )
        )
    chosen = parse_choices(choices or [])
    try:
        with _folder(out), connect(url) as client:
            if run is not None:
                hub = own_hub(push, private=not public) if push else None
                export_run(client, run, format, chosen, out, hub=hub, as_json=as_json)
            else:
                params = {"as": format, "flags": flags, "part": part, "leave_out": json.dumps(leave_out)}
                _export_version(client, dataset or "", version, params, out, as_json=as_json)
    except OSError as error:
        raise unwritable(out, error) from error


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Made before the work, which would be in vain without it; where nothing came of that, a new one is not left behind."""
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if is_new and not any(out.iterdir()):
            out.rmdir()


def _require_one_of(dataset: str | None, run: int | None, format: str) -> None:
    if (dataset is None) == (run is None):
        raise typer.BadParameter(_("Name a dataset with --dataset, or a run with --run."))
    allowed = tuple(BY_NAME) if run is not None else EXPORT_FORMATS
    if format not in allowed:
        raise typer.BadParameter(
            _("--as cannot be “%(format)s” here. Use one of: %(names)s.")
            % {"format": format, "names": ", ".join(allowed)}
        )


def parse_choices(pairs: list[str]) -> dict[str, str]:
    """KEY=VALUE pairs. Raises CommandFailed for what is none."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise CommandFailed(
                _("--set wants key=value, as in --set precision=q8_0; “%(pair)s” is not that.")
                % {"pair": pair}
            )
        found[name.strip()] = value.strip()
    return found


def _export_version(
    client: StudioClient,
    dataset: str,
    version: int | None,
    params: dict[str, str],
    out: Path,
    *,
    as_json: bool,
) -> None:
    found = _require_version(client, dataset, version)
    client.be_patient()
    report, files = _download(client, found.id, params, out)
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


def unwritable(folder: Path, error: OSError) -> CommandFailed:
    """That the folder cannot be written, and why."""
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
    with scratch_folder(out, PARTIAL) as folder:
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
