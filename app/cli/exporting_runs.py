"""`export --run`: a run's files for another program, made by the server and fetched, each checked by its hash; `exports`: those that
were made."""

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Final

from app.cli.progress import JobProgress
from app.client.rest import StudioClient
from app.client.waiting import JobEnded, wait_for_job
from app.core.console import CommandFailed, print_json, say
from app.core.formatting import file_size
from app.core.i18n import gettext as _
from app.exports.card import PROVENANCE
from app.exports.hub import Hub
from app.exports.schemas import ExportFileOut, ExportOut
from app.files import scratch_folder

# What is being fetched lies in a folder of such a name until it is whole.
PARTIAL: Final = ".sft-studio-partial-"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def export_run(
    client: StudioClient,
    run: int,
    kind: str,
    choices: dict[str, str],
    out: Path,
    *,
    hub: Hub | None = None,
    as_json: bool,
) -> None:
    """Have the files made, wait for them, put them into `out`, all of them or none, and onto a hub where one is named."""
    # Every export has this file: better to know before minutes of work than after.
    _require_free(out / PROVENANCE)
    export = client.start_export(run, kind, choices)
    page = client.page(f"/runs/{run}#exports")
    say(_("Export %(id)d: %(url)s") % {"id": export.id, "url": page})
    try:
        with JobProgress(_("Exporting")) as progress:
            wait_for_job(client, export.job, progress, what=_("The export"))
    except JobEnded:
        if as_json:
            print_json(client.export(export.id).model_dump(mode="json"))
        raise
    except KeyboardInterrupt:
        say(_("The export goes on without us: its files will be on the run's page."))
        raise
    fetch_export(client, client.export(export.id), out, hub=hub, as_json=as_json)


def fetch_export(
    client: StudioClient, export: ExportOut, out: Path, *, hub: Hub | None = None, as_json: bool
) -> None:
    """Put the files of an export that is done into `out`, all of them or none, and onto a hub where one is named."""
    for note in export.notes:
        say(note)
    _fetch_all(client, export, out)
    size = sum(file.size_bytes for file in export.files)
    say(
        _("Run %(run)d as %(kind)s is in %(folder)s: %(count)d files, %(size)s, each checked by its hash")
        % {
            "run": export.run_id,
            "kind": export.kind,
            "folder": out,
            "count": len(export.files),
            "size": file_size(size),
        }
    )
    if hub is not None:
        say(_("Pushing to %(url)s") % {"url": hub.url})
        message = f"Run {export.run_id} of SFT Studio: {export.kind}"
        hub.push(out, [file.name for file in export.files], message)
    if as_json:
        told = export.model_dump(mode="json")
        for file in told["files"]:
            file["path"] = str(out / file["name"])
        told["pushed_to"] = hub.url if hub is not None else None
        print_json(told)


def _fetch_all(client: StudioClient, export: ExportOut, out: Path) -> None:
    """Into a folder beside the place first, so that a broken connection leaves nothing half."""
    for file in export.files:
        _require_plain(file.name)
        _require_free(out / file.name)
    with scratch_folder(out, PARTIAL) as folder:
        for number, file in enumerate(export.files, 1):
            say(
                _("Fetching %(name)s (%(number)d of %(count)d)")
                % {"name": file.name, "number": number, "count": len(export.files)}
            )
            _fetch(client, export.id, file, folder / file.name)
        for file in export.files:
            (out / file.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.name).rename(out / file.name)


def _fetch(client: StudioClient, export_id: int, file: ExportFileOut, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as target:

        def write(piece: bytes) -> None:
            digest.update(piece)
            target.write(piece)

        client.export_file(export_id, file.id, write)
    if digest.hexdigest() != file.sha256:
        raise CommandFailed(
            _("%(name)s did not arrive as it was made: its hash differs. Export the run again.")
            % {"name": file.name}
        )


def _require_free(path: Path) -> None:
    if path.exists():
        raise CommandFailed(_("%(path)s is already there. Name another folder with --out.") % {"path": path})


def _require_plain(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or not all(_PLAIN.fullmatch(part) for part in parts):
        raise CommandFailed(
            _("The server sent a file with the name “%(name)s”, which is refused.") % {"name": name}
        )
