"""`erase`: take a conversation out of everything that holds it."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.core.console import print_json, say
from app.core.i18n import gettext as _


def erase(
    conversation: Annotated[int, typer.Argument(help=_("Id of the conversation."))],
    yes: Annotated[
        bool, typer.Option("--yes", help=_("Erase it; without this only say what holds it."))
    ] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `erase`."""
    with connect(url) as client:
        holders = client.erase(conversation) if yes else client.holders(conversation)
    versions = [f"{version.dataset} {version.number}" for version in holders.versions]
    runs = [str(run.id) for run in holders.runs]
    none = _("none")
    say(
        _(
            "Versions: %(versions)s. Mask checks: %(checks)d. Chats: %(chats)d. Exports of runs: %(exports)d. Runs trained on it: "
            "%(runs)s. Downloads: %(downloads)d."
        )
        % {
            "versions": ", ".join(versions) or none,
            "checks": len(holders.mask_check_ids),
            "chats": len(holders.chat_ids),
            "exports": len(holders.exports),
            "runs": ", ".join(runs) or none,
            "downloads": len(holders.downloads),
        }
    )
    say(
        _("Conversation %(id)d is erased from all of them but runs and downloads.") % {"id": conversation}
        if yes
        else _("Nothing was erased. Add --yes to erase it.")
    )
    if as_json:
        print_json(holders.model_dump(mode="json"))
