"""`erase`: take a conversation, or all dialogues of a dataset, out of everything that holds them."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.client.pipeline import require_dataset
from app.core.console import CommandFailed, print_json, say
from app.core.i18n import gettext as _
from app.erasure.schemas import DatasetHolders, Holders


def erase(
    conversation: Annotated[int | None, typer.Argument(help=_("Id of the conversation."))] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", help=_("Name of a dataset: all its dialogues, instead of one conversation.")
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help=_("Erase it; without this only say what holds it."))
    ] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `erase`."""
    if (conversation is None) == (dataset is None):
        raise CommandFailed(
            _("Name either a conversation by its id or a dataset with --dataset."), exit_code=2
        )
    holders: Holders | DatasetHolders
    with connect(url) as client:
        if dataset is not None:
            number = require_dataset(client, dataset).id
            holders = client.erase_dataset(number) if yes else client.dataset_holders(number)
            say(_("Conversations: %(count)d.") % {"count": holders.conversations})
            erased = _("All dialogues of “%(name)s” are erased from all of them but runs and downloads.")
            done = erased % {"name": dataset}
        else:
            assert conversation is not None
            holders = client.erase(conversation) if yes else client.holders(conversation)
            done = _("Conversation %(id)d is erased from all of them but runs and downloads.") % {
                "id": conversation
            }
    _say_what_holds(holders)
    say(done if yes else _("Nothing was erased. Add --yes to erase it."))
    if as_json:
        print_json(holders.model_dump(mode="json"))


def _say_what_holds(holders: Holders | DatasetHolders) -> None:
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
