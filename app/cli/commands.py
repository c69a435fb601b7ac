"""The commands under their names. Help texts are translated when a command's module is imported."""

import typer

from app.core.i18n import gettext as _

MASKS = "masks"


def build(first_argument: str = "") -> typer.Typer:
    """All commands. Those of `masks` need neither server nor database and are often called from scripts: asked
    for them, nothing else is loaded.
    """
    app = typer.Typer(
        help=_("Curate dialogues, see which tokens will be trained, fine-tune, judge the result."),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # Keeps the commands sub-commands.
    app.callback()(lambda: None)
    if first_argument != MASKS:
        _add_server_commands(app)
    from app.cli.masks import command as masks

    app.add_typer(masks.app, name=MASKS)
    return app


def _add_server_commands(app: typer.Typer) -> None:
    from app.cli import evaluating, exporting, importing, listing, maintaining, serve, training
    from app.cli.demo import command as demo

    app.command("serve", help=_("Start the web server and the workers on this machine."))(serve.serve)
    app.command("demo", help=_("Show the whole way on sample dialogues: train, evaluate, report."))(demo.demo)
    app.command("web", help=_("Start the web server alone; workers run elsewhere."))(serve.web)
    app.command("worker", help=_("Start one more worker."))(maintaining.worker)
    app.command("migrate", help=_("Bring the database to the newest schema."))(maintaining.migrate)
    app.command("import", help=_("Import a file into a dataset."))(importing.import_file)
    app.command("export", help=_("Write a frozen version in the format of another tool."))(exporting.export)
    app.command("approve", help=_("Approve every draft of a dataset."))(listing.approve)
    app.command("train", help=_("Freeze, check the masks and train."))(training.train)
    app.command("evaluate", help=_("Judge a run against its base model."))(evaluating.evaluate)
    app.command("list", help=_("List datasets, models, recipes, runs or suites."))(listing.list_things)
    app.command("status", help=_("Show the server or a run."))(listing.status)
