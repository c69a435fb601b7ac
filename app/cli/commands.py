"""The commands under their names. Help texts are translated when a command's module is imported."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from app import VERSION
from app.core.i18n import gettext as _

EXPORTS = "exports"
MASKS = "masks"
MODELS = "models"
NOTICES = "notices"
PEOPLE = "people"
QUEUE = "queue"
WEBHOOKS = "webhooks"
RECIPES = "recipes"
SWEEPS = "sweeps"
_GROUPS = (EXPORTS, MASKS, MODELS, NOTICES, PEOPLE, QUEUE, RECIPES, SWEEPS, WEBHOOKS)


def build(arguments: list[str]) -> typer.Typer:
    """The program for these arguments: all commands by name and help, and the one that is called with what it needs.

    The others load nothing, so that help comes at once and `masks`, which is often called from scripts, brings neither
    server nor database.
    """
    called = next((argument for argument in arguments if not argument.startswith("-")), "")
    app = typer.Typer(
        help=_("Curate dialogues, see which tokens will be trained, fine-tune, judge the result."),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_program)
    for name, help_text in _commands().items():
        if name == called and name in _GROUPS:
            app.add_typer(_load_group(name), name=name, help=help_text)
        else:
            app.command(name, help=help_text)(_load(name) if name == called else _only_listed)
    return app


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sft-studio {VERSION}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help=_("Show the version of the program."), callback=_say_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Holds the commands together as sub-commands."""


def _commands() -> dict[str, str]:
    """What each command does, by its name."""
    return {
        "serve": _("Start the web server and the workers on this machine."),
        "demo": _("Show the whole way on sample dialogues: train, evaluate, report."),
        "web": _("Start the web server alone; workers run elsewhere."),
        "worker": _("Start one more worker."),
        "migrate": _("Bring the database to the newest schema."),
        "backup": _("Write all that this installation holds into one file, while it runs."),
        "restore": _("Make an empty data folder what a backup holds."),
        "doctor": _("Check that this installation is well."),
        "erase": _("Take a conversation out of everything that holds it."),
        "import": _("Import a file into a dataset."),
        "export": _("Write a frozen version in the format of another tool, or a run for another program."),
        EXPORTS: _("Exports of runs: list, fetch, stop, delete."),
        "push": _("Push an export of a run to a model hub, with the server's token."),
        "approve": _("Approve all of a dataset that is not reviewed."),
        "advise": _("Estimate a run before it starts, and say what to set for its data."),
        "preflight": _("Say what stands against the start of a run: exit code 0, 1, or 2."),
        "train": _("Freeze, check the masks and train."),
        "sweep": _("Try a few values of some settings as a group of runs."),
        SWEEPS: _("Sweeps: list, show, rename, stop."),
        "again": _("Make a run once more: the same device gives the same losses."),
        "pause": _("Pause a run: a checkpoint stays, and its place is free for others."),
        "resume": _("Let a paused run go on where it stood."),
        "stop": _("Stop a run: keep what it has learned, or discard it."),
        "checkpoints": _("List the checkpoints of a run, or remove them."),
        "continue": _("Begin a run that goes on from a checkpoint of another."),
        "keep": _("Make a model of a checkpoint, as it is."),
        "evaluate": _("Judge a run against its base model."),
        "gate": _("Judge whether a run may go on, by limits on its numbers: exit code 0, 1, or 2."),
        "list": _("List datasets, models, recipes, runs or suites."),
        "status": _("Show the server or a run."),
        "diagnose": _("Say what is wrong with a run by its curves, and what to change."),
        "checklist": _("Fill in the checklist of a run: data, config, monitoring, verification."),
        "watch": _("Show the progress of a run, and wait for its end."),
        "curves": _(
            "Show the curves of a run as a table: losses, learning rate, gradient norm, speed, memory."
        ),
        "log": _("Show the last lines of a run's log."),
        "samples": _("Show what a run answered while it trained."),
        "manifest": _("Print all that a run's numbers follow from, as JSON."),
        NOTICES: _("Hear what has ended of what you started."),
        WEBHOOKS: _("Have other programs told when runs and evaluations end."),
        QUEUE: _("Show the queue and order what waits."),
        "compare": _("Lay runs side by side: what differs, and how far each came."),
        RECIPES: _("Recipes: list, show, explain, save, share, import, export, delete."),
        PEOPLE: _("Add people, change roles, reset passwords: on the server's own machine."),
        MODELS: _("Base models: list, prepare, remove."),
        MASKS: _("Show and check which tokens will be trained."),
    }


def _load_group(name: str) -> typer.Typer:
    if name == MASKS:
        from app.cli.masks.command import app as masks

        return masks
    if name == MODELS:
        from app.cli.base_models import app as models

        return models
    if name == QUEUE:
        from app.cli.queueing import app as queueing

        return queueing
    if name == NOTICES:
        from app.cli.notices import app as notices

        return notices
    if name == WEBHOOKS:
        from app.cli.webhooks import app as webhooks

        return webhooks
    if name == RECIPES:
        from app.cli.recipes import app as recipes

        return recipes
    if name == SWEEPS:
        from app.cli.sweeping import app as sweeps

        return sweeps
    if name == EXPORTS:
        from app.cli.kept_exports import app as exports

        return exports
    from app.cli.people import app as people

    return people


def _load(name: str) -> Callable[..., Any]:
    match name:
        case "serve" | "web":
            from app.cli import serve

            return serve.serve if name == "serve" else serve.web
        case "worker" | "migrate":
            from app.cli import maintaining

            return maintaining.worker if name == "worker" else maintaining.migrate
        case "backup" | "restore" | "doctor":
            from app.cli import keeping

            commands: dict[str, Callable[..., Any]] = {
                "backup": keeping.backup,
                "restore": keeping.restore,
                "doctor": keeping.doctor,
            }
            return commands[name]
        case "approve" | "list" | "status":
            from app.cli import listing

            by_name: dict[str, Callable[..., Any]] = {
                "approve": listing.approve,
                "list": listing.list_things,
                "status": listing.status,
            }
            return by_name[name]
        case "diagnose" | "checklist" | "manifest" | "samples" | "compare" | "watch" | "curves" | "log":
            return _load_look(name)
        case "erase":
            from app.cli.erasing import erase

            return erase
        case "demo":
            from app.cli.demo.command import demo

            return demo
        case "import":
            from app.cli.importing import import_file

            return import_file
        case "export" | "push":
            from app.cli import exporting, pushes

            return exporting.export if name == "export" else pushes.push
        case "advise" | "preflight":
            from app.cli import advising, preflighting

            return advising.advise if name == "advise" else preflighting.preflight
        case "again" | "train" | "sweep" | "pause" | "resume" | "stop" | "checkpoints" | "continue" | "keep":
            return _load_run(name)
        case "evaluate" | "gate":
            from app.cli import evaluating, gating

            return evaluating.evaluate if name == "evaluate" else gating.gate
    raise LookupError(name)


def _load_run(name: str) -> Callable[..., Any]:
    """What starts runs, and what is asked of one under way."""
    from app.cli import going_on, stopping, sweeping, training

    commands: dict[str, Callable[..., Any]] = {
        "train": training.train,
        "again": training.again,
        "sweep": sweeping.sweep,
        "pause": stopping.pause,
        "resume": stopping.resume,
        "stop": stopping.stop,
        "checkpoints": going_on.checkpoints,
        "continue": going_on.continue_run,
        "keep": going_on.keep,
    }
    return commands[name]


def _load_look(name: str) -> Callable[..., Any]:
    """What looks at runs closely."""
    from app.cli import diagnosing, watching

    looks: dict[str, Callable[..., Any]] = {
        "diagnose": diagnosing.diagnose,
        "checklist": diagnosing.checklist,
        "samples": diagnosing.samples,
        "compare": diagnosing.compare,
        "manifest": diagnosing.manifest,
        "watch": watching.watch,
        "curves": watching.curves,
        "log": watching.log,
    }
    return looks[name]


def _only_listed() -> None:
    """Stands for a command that is named in the help and not called."""
