"""`checkpoints`, `continue` and `keep`: what a run left on its way, and a run that goes on from there."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import AcceptOption, JsonOption, KeyOption, LookOption, WaitOption
from app.cli.preflighting import show_preflight
from app.cli.training import follow
from app.client.pipeline import new_idempotency_key, parse_changes
from app.core.console import print_json, print_table, say
from app.core.formatting import file_size
from app.core.i18n import gettext as _
from app.core.i18n import say as spoken
from app.runs.checkpoints import best_not_kept
from app.runs.schemas import CurvesOut

RunOption = Annotated[int, typer.Option("--run", help=_("Id of the run."))]
StepOption = Annotated[int, typer.Option("--step", help=_("Step of the checkpoint."))]


def checkpoints(
    run: RunOption,
    remove: Annotated[bool, typer.Option("--remove", help=_("Free the disk of them."))] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `checkpoints`."""
    with connect(url) as client:
        if remove:
            client.delete_checkpoints(run)
            say(_("The checkpoints of run %(id)d are removed.") % {"id": run})
        found = client.checkpoints(run)
        best = _best_of(client.curves(run)) if found and not as_json else None
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows: list[list[object]] = [
        [
            one.step,
            "–" if one.epoch is None else one.epoch,
            "–" if one.eval_loss is None else f"{one.eval_loss:.4f}" + (" *" if one.is_best else ""),
            "–" if one.size_bytes is None else file_size(one.size_bytes),
            one.gone or _("Kept"),
        ]
        for one in found
    ]
    print_table([_("step"), _("epoch"), _("held-out loss"), _("size"), _("state")], rows)
    if any(one.is_best for one in found):
        say(_("* the lowest of the checkpoints that are kept"))
    if (sentence := best_not_kept(best, found)) is not None:
        say(spoken(sentence))


def _best_of(curves: CurvesOut) -> tuple[float, int] | None:
    """The lowest held-out loss after some training, and its step."""
    points = zip(curves.eval_loss, curves.eval_step, strict=True)
    return min(((loss, step) for loss, step in points if step and loss is not None), default=None)


def continue_run(
    run: RunOption,
    step: StepOption,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help=_("What is otherwise from there on: epochs, steps, learning rate. May be repeated."),
        ),
    ] = None,
    accept: AcceptOption = None,
    dry_run: LookOption = False,
    key: KeyOption = "",
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `continue`."""
    body = {"changes": parse_changes(changes or []), "accepted_warnings": accept or []}
    with connect(url) as client:
        if dry_run:
            return show_preflight(client.look_before_onward(run, step, body).preflight, as_json=as_json)
        made = client.continue_run(run, step, body, key or new_idempotency_key())
        follow(client, made, wait=wait, as_json=as_json)


def keep(
    run: RunOption,
    step: StepOption,
    accept: AcceptOption = None,
    dry_run: LookOption = False,
    key: KeyOption = "",
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `keep`."""
    body = {"accepted_warnings": accept or []}
    with connect(url) as client:
        if dry_run:
            look = client.look_before_onward(run, step, {**body, "keep": True})
            return show_preflight(look.preflight, as_json=as_json)
        made = client.keep_checkpoint(run, step, body, key or new_idempotency_key())
        follow(client, made, wait=wait, as_json=as_json)
