"""`push`: an export of a run to a model hub by the server, with the server's token."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.cli.progress import JobProgress
from app.client.waiting import wait_for_job
from app.core.console import print_json, say
from app.core.i18n import gettext as _


def push(
    export: Annotated[int, typer.Option("--export", help=_("Id of the export whose files are pushed."))],
    to: Annotated[str, typer.Option("--to", metavar="OWNER/NAME", help=_("Repository on the hub."))],
    public: Annotated[bool, typer.Option("--public", help=_("Everybody may see it."))] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help=_("Wait until the files are there."))] = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `push`."""
    with connect(url) as client:
        found = client.start_push(export, to, private=not public)
        if wait:
            with JobProgress(_("Pushing")) as progress:
                wait_for_job(client, found.job, progress, what=_("The push"))
            found = client.push(found.id)
            say(_("Pushed to %(url)s") % {"url": found.url})
        else:
            say(_("The server pushes to %(repository)s.") % {"repository": found.repository})
        if as_json:
            print_json(found.model_dump(mode="json"))
