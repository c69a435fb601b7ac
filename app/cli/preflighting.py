"""`preflight`: what stands against the start of a run. Exit code 0 nothing, 1 something, 2 could not be judged."""

from typing import Annotated

import typer

from app.cli.advising import plan_of_newest
from app.cli.connection import UrlOption, connect
from app.cli.exit_codes import NOT_JUDGED, RED
from app.cli.options import (
    AcceptOption,
    ChangesOption,
    DatasetOption,
    JsonOption,
    MixOption,
    MixShareOption,
    ModelOption,
    OrderOption,
    RecipeOption,
)
from app.client.pipeline import mixing_changes
from app.core.console import CommandFailed, print_json, print_table, say
from app.core.i18n import gettext as _
from app.runs.plan_schemas import PlanOut
from app.runs.preflight.schemas import PreflightItemOut

SuiteOption = Annotated[
    list[str] | None,
    typer.Option("--suite", help=_("Suite that the run is going to be judged on. May be repeated.")),
]


def preflight(
    dataset: DatasetOption,
    model: ModelOption,
    recipe: RecipeOption = "standard",
    changes: ChangesOption = None,
    mix: MixOption = "",
    mix_share: MixShareOption = None,
    order: OrderOption = "",
    accept: AcceptOption = None,
    suite: SuiteOption = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `preflight`."""
    try:
        with connect(url) as client:
            asked = {"accepted_warnings": accept or [], "evaluate_with": suite or []}
            wanted = mixing_changes(changes or [], mix_share, order)
            plan = plan_of_newest(client, dataset, model, recipe, wanted, mix, asked)
    except CommandFailed as failure:
        raise CommandFailed(str(failure), exit_code=NOT_JUDGED) from failure
    show_preflight(plan, as_json=as_json)


def show_preflight(plan: PlanOut, *, as_json: bool) -> None:
    """Every item. Raises CommandFailed with exit code 1 where something stands against a start."""
    if as_json:
        print_json([one.model_dump(mode="json") for one in plan.preflight])
    else:
        rows: list[list[object]] = [[one.name.value, _word(one), _said(one)] for one in plan.preflight]
        print_table([_("item"), _("state"), _("evidence")], rows)
    if plan.may_start:
        say(_("Nothing stands against the start."))
        return
    left = [one for one in plan.preflight if not one.lets_start]
    options = " ".join(f"--accept {one.name.value}" for one in left if one.level == "warning")
    sentence = _("The run would not start: %(names)s.") % {"names": ", ".join(one.name.value for one in left)}
    if options:
        sentence += " " + _("Warnings that you have looked at are accepted by: %(options)s") % {
            "options": options
        }
    raise CommandFailed(sentence, exit_code=RED)


def _word(one: PreflightItemOut) -> str:
    return _("accepted") if one.accepted else _(one.level.words)


def _said(one: PreflightItemOut) -> str:
    return " ".join(part for part in (one.message, one.helps) if part)
