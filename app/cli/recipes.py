"""`sft-studio recipes`: built-in recipes, shared ones and one's own, on the server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import ChangesOption, JsonOption
from app.cli.text_files import read_text_file, unreadable
from app.client.pipeline import parse_changes
from app.core.console import CommandFailed, print_json, print_table, say
from app.core.formatting import number
from app.core.i18n import gettext as _
from app.recipe_book.schemas import RecipeOut
from app.recipes.fields import display
from app.recipes.foreign import LARGEST_BYTES

app = typer.Typer(
    help=_("Recipes: list, show, explain, save, share, import, export, delete."), no_args_is_help=True
)
NameArgument = Annotated[str, typer.Argument(help=_("Name of the recipe."))]
PurposeOption = Annotated[str | None, typer.Option("--purpose", help=_("What it is for."))]
SharedOption = Annotated[
    bool | None, typer.Option("--shared/--private", help=_("For everybody on the server, or for oneself."))
]


@app.command("list", help=_("List the recipes, and what came of the runs that used them."))
def list_recipes(url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `recipes list`."""
    with connect(url) as client:
        found = client.recipes()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows: list[list[object]] = [
        [one.name, _kind(one), one.runs, number(one.best_eval_loss, 3), one.best_verdict or "", one.purpose]
        for one in found
    ]
    heads = [_("name"), _("kind"), _("runs"), _("best held-out loss"), _("verdict"), _("purpose")]
    print_table(heads, rows)
    for one in found:
        _tell_refused(one)


@app.command("show", help=_("Show what a recipe sets."))
def show(name: NameArgument, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `recipes show`."""
    with connect(url) as client:
        _print(client.recipe(name), as_json)


@app.command("fields", help=_("Explain the settings: what each means, what it may be, when to change it."))
def fields(
    names: Annotated[list[str] | None, typer.Argument(help=_("Names of settings; without one all."))] = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `recipes fields`."""
    with connect(url) as client:
        found = client.recipe_fields()
    for name in names or []:
        if name not in {one.name for one in found}:
            raise CommandFailed(
                _("There is no setting “%(name)s”. “sft-studio recipes fields” lists them all.")
                % {"name": name}
            )
    found = [one for one in found if not names or one.name in names]
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows: list[list[object]] = [
        [one.name, display(one.default), one.allowed, one.unit, f"{one.label} – {one.meaning}"]
        for one in found
    ]
    print_table([_("setting"), _("default"), _("allowed"), _("unit"), _("meaning")], rows)


@app.command("save", help=_("Save a recipe, or change one with --replace."))
def save(
    name: NameArgument,
    changes: ChangesOption = None,
    like: Annotated[
        str | None, typer.Option("--like", help=_("The recipe to begin with; without it the standard."))
    ] = None,
    run: Annotated[int | None, typer.Option("--run", help=_("The run whose settings it gets."))] = None,
    purpose: PurposeOption = None,
    shared: SharedOption = None,
    rename: Annotated[str | None, typer.Option("--rename", help=_("With --replace: its new name."))] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help=_("Change the recipe of this name: what is not said of it stays as it is.")
        ),
    ] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `recipes save`."""
    settings = parse_changes(changes or [])
    body: dict[str, Any] = {
        key: value for key, value in (("purpose", purpose), ("shared", shared)) if value is not None
    }
    with connect(url) as client:
        if not replace:
            if rename is not None:
                raise CommandFailed(_("--rename goes with --replace."))
            sources = {key: value for key, value in (("like", like), ("run_id", run)) if value is not None}
            _print(client.add_recipe({"name": name, "settings": settings, **sources, **body}), as_json)
            return
        if like is not None or run is not None:
            raise CommandFailed(_("--replace keeps what the recipe is: leave --like and --run out."))
        seen = client.recipe(name)
        if settings:
            body["settings"] = {**seen.settings, **settings}
        if rename is not None:
            body["name"] = rename
        # Who changed something else meanwhile is not in the way.
        body["seen"] = {name: getattr(seen, name) for name in ("name", "purpose", "shared", "settings")}
        _print(client.change_recipe(name, {"version": seen.version or 0, **body}), as_json)


@app.command("import", help=_("Save a file of LLaMA-Factory or Axolotl, or an exported recipe, as a recipe."))
def import_file(
    file: Annotated[Path, typer.Argument(help=_("The YAML file."))],
    name: Annotated[
        str, typer.Option("--name", help=_("Its name here; an exported recipe has one of its own."))
    ] = "",
    purpose: PurposeOption = None,
    shared: SharedOption = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `recipes import`."""
    body = {
        "config": read_text_file(file, LARGEST_BYTES),
        "name": name,
        "purpose": purpose,
        "shared": bool(shared),
    }
    with connect(url) as client:
        done = client.import_recipe(body)
    for note in done.notes:
        say(note)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        _print(done.recipe, as_json)


@app.command("export", help=_("Write a recipe as a YAML file."))
def export(
    name: NameArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help=_("The file; without it on standard output."))
    ] = None,
    url: UrlOption = "",
) -> None:
    """Command `recipes export`."""
    with connect(url) as client:
        text = client.export_recipe(name)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise unreadable(str(out), error) from error
    say(_("Written: %(file)s") % {"file": out})


@app.command("delete", help=_("Delete a recipe; runs keep what they were trained with."))
def delete(name: NameArgument, url: UrlOption = "") -> None:
    """Command `recipes delete`."""
    with connect(url) as client:
        client.delete_recipe(name)
    say(_("The recipe “%(name)s” is deleted.") % {"name": name})


def _print(recipe: RecipeOut, as_json: bool) -> None:
    if as_json:
        print_json(recipe.model_dump(mode="json"))
        return
    version = "" if recipe.version is None else _("version %(number)d") % {"number": recipe.version}
    say(" · ".join(part for part in (recipe.name, _kind(recipe), version, recipe.purpose) if part))
    rows: list[list[object]] = [[name, display(value)] for name, value in recipe.settings.items()]
    print_table([_("setting"), _("value")], rows)
    _tell_refused(recipe)


def _kind(recipe: RecipeOut) -> str:
    if recipe.version is None:
        return _("Built in")
    return _("Shared") if recipe.shared else _("Private")


def _tell_refused(recipe: RecipeOut) -> None:
    for one in recipe.refused:
        say(_("%(name)s cannot be used: %(reason)s") % {"name": recipe.name, "reason": one.message})
