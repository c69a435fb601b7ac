"""`models`: the base models that runs start from: listed, prepared, removed."""

from typing import Annotated

import typer

from app.base_models.schemas import BaseModelOut
from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption, WaitOption
from app.cli.progress import JobProgress
from app.client.pipeline import begin_base_model, prepared_base_model, require_known_base_model
from app.client.waiting import JobEnded
from app.core.console import Id, print_json, print_table, say
from app.core.formatting import file_size, number
from app.core.i18n import gettext as _

app = typer.Typer(help=_("Base models: list, prepare, remove."), no_args_is_help=True)


@app.command("list", help=_("List the base models, and how far each is."))
def list_models(url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `models list`."""
    with connect(url) as client:
        found = client.base_models()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    heads = ["id", _("name"), _("state"), _("source"), _("reference"), _("parameters"), _("size")]
    print_table(heads, [_row(one) for one in found])
    for one in found:
        if not one.is_ready and one.job and one.job.error:
            say(f"{one.name}: {one.job.error}")


def _row(one: BaseModelOut) -> list[object]:
    return [
        Id(one.id),
        one.name,
        _state(one),
        one.source.value,
        one.reference,
        number(one.info.parameters),
        file_size(one.info.size_bytes),
    ]


def _state(one: BaseModelOut) -> str:
    """As programs know it: ready, what its job does, or that masks alone can be looked at with it."""
    if one.is_ready or one.job is None:
        return "ready" if one.is_ready else "–"
    return "tokenizer_only" if one.job.status == "succeeded" else one.job.status


@app.command("prepare", help=_("Fetch, convert and check a base model, so that runs can start from it."))
def prepare(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=_(
                "“bundled”, a hub id, a folder, run:7 for what full fine-tune 7 made, or the name of one here."
            ),
        ),
    ],
    name: Annotated[
        str, typer.Option("--name", help=_("What to call it here; without it the last part of the id."))
    ] = "",
    revision: Annotated[
        str | None,
        typer.Option("--revision", help=_("A branch, tag or commit on the hub; without it the newest.")),
    ] = None,
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `models prepare`."""
    with connect(url) as client:
        found = begin_base_model(client, model, name=name, revision=revision)
        try:
            if wait and not found.is_ready:
                with JobProgress(_("Preparing “%(name)s”") % {"name": found.name}) as progress:
                    found = prepared_base_model(client, found, progress)
        except JobEnded:
            if as_json:
                print_json(client.base_model(found.id).model_dump(mode="json"))
            raise
    if as_json:
        print_json(found.model_dump(mode="json"))
    told = _("The base model “%(name)s” is ready.") if found.is_ready else _("“%(name)s” is being prepared.")
    say(told % {"name": found.name})


@app.command("remove", help=_("Remove a base model with what was fetched or converted for it."))
def remove(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help=_("Name, id or reference of a base model that is here."))
    ],
    url: UrlOption = "",
) -> None:
    """Command `models remove`."""
    with connect(url) as client:
        found = require_known_base_model(client, model)
        client.remove_base_model(found.id)
    say(_("The base model “%(name)s” was removed.") % {"name": found.name})
