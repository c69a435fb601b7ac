"""`exports`: what was made of runs for other programs: listed, fetched again, cancelled, deleted."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.exporting import OutOption, unwritable
from app.cli.exporting_runs import fetch_export
from app.cli.options import JsonOption
from app.cli.progress import JobProgress
from app.client.waiting import require_success, wait_for_job
from app.core.console import Id, print_json, print_table, say
from app.core.formatting import file_size
from app.core.i18n import gettext as _
from app.exports.schemas import ExportOut

app = typer.Typer(help=_("Exports of runs: list, fetch, stop, delete."), no_args_is_help=True)
IdArgument = Annotated[int, typer.Argument(metavar="EXPORT", min=1, help=_("Id of the export."))]


@app.command("list", help=_("List the exports of a run, newest first."))
def list_exports(
    run: Annotated[int, typer.Option("--run", min=1, help=_("Id of the run."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `exports list`."""
    with connect(url) as client:
        found = client.exports(run)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    heads = ["id", _("kind"), _("state"), _("size"), _("when")]
    print_table(heads, [_row(one) for one in found])


def _row(one: ExportOut) -> list[object]:
    return [
        Id(one.id),
        " ".join([one.kind, *(f"{name}={value}" for name, value in one.choices.items())]),
        one.job.status,
        file_size(sum(file.size_bytes for file in one.files)) if one.files else "–",
        f"{one.created_at:%Y-%m-%d %H:%M}Z",
    ]


@app.command("fetch", help=_("Fetch the files of an export, which is waited for."))
def fetch(export: IdArgument, out: OutOption, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `exports fetch`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with connect(url) as client:
            found = client.export(export)
            if found.job.state.is_final:
                require_success(found.job, what=_("The export"))
            else:
                with JobProgress(_("Exporting")) as progress:
                    wait_for_job(client, found.job, progress, what=_("The export"))
                found = client.export(export)
            fetch_export(client, found, out, as_json=as_json)
    except OSError as error:
        raise unwritable(out, error) from error


@app.command("stop", help=_("Cancel an export that is being made; nothing of it is kept."))
def stop(export: IdArgument, url: UrlOption = "") -> None:
    """Command `exports stop`."""
    with connect(url) as client:
        client.stop_export(export)
    say(_("Export %(id)d is being cancelled.") % {"id": export})


@app.command("delete", help=_("Delete an export with its files. The run stays, and they can be made again."))
def delete(export: IdArgument, url: UrlOption = "") -> None:
    """Command `exports delete`."""
    with connect(url) as client:
        client.delete_export(export)
    say(_("Export %(id)d was deleted.") % {"id": export})
