"""`notices`: what has ended of what one had asked for."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.core.console import Id, print_json, print_table, say
from app.core.i18n import gettext as _

app = typer.Typer(help=_("Hear what has ended of what you started."), no_args_is_help=True)


@app.command("list", help=_("List what has ended, the newest first."))
def list_notices(
    unread: Annotated[bool, typer.Option("--unread", help=_("Only what you have not read."))] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help=_("At most so many."))] = 50,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `notices list`."""
    with connect(url) as client:
        found = client.notices(unread=unread, limit=limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    rows: list[list[object]] = [
        [
            Id(one.id),
            one.created_at,
            "" if one.read_at else _("New"),
            one.text,
            one.page or "",
        ]
        for one in found.notices
    ]
    print_table(["id", _("when"), _("state"), _("notice"), _("page")], rows)


@app.command("read", help=_("Mark all as read."))
def read_notices(url: UrlOption = "") -> None:
    """Command `notices read`."""
    with connect(url) as client:
        client.read_notices()
    say(_("All were read."))
