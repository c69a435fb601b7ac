"""`preflight`: what stands against the start of a run. Exit code 0 nothing, 1 something, 2 could not be judged."""

from typing import Annotated, Any

import typer

from app.cli.advising import plan_of_newest
from app.cli.connection import UrlOption, connect
from app.cli.exit_codes import NOT_JUDGED, RED
from app.cli.options import (
    AcceptOption,
    AdapterOption,
    ChangesOption,
    DatasetOption,
    DeviceOption,
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
from app.jobs.devices import ANY
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
    init_adapter: AdapterOption = None,
    accept: AcceptOption = None,
    suite: SuiteOption = None,
    device: DeviceOption = ANY,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `preflight`."""
    try:
        with connect(url) as client:
            asked: dict[str, Any] = {"accepted_warnings": accept or [], "evaluate_with": suite or []}
            asked |= {"init_adapter": init_adapter, "device": device}
            wanted = mixing_changes(changes or [], mix_share, order)
            plan = plan_of_newest(client, dataset, model, recipe, wanted, mix, asked)
    except CommandFailed as failure:
        raise CommandFailed(str(failure), exit_code=NOT_JUDGED) from failure
    show_preflight(plan.preflight, as_json=as_json)


def show_preflight(items: list[PreflightItemOut], *, as_json: bool) -> None:
    """Every item. Raises CommandFailed with exit code 1 where something stands against a start."""
    if as_json:
        print_json([one.model_dump(mode="json") for one in items])
    else:
        rows: list[list[object]] = [[one.name.value, word_of(one), _said(one)] for one in items]
        print_table([_("item"), _("state"), _("evidence")], rows)
    require_start(items)


def require_start(items: list[PreflightItemOut]) -> None:
    """Says that nothing stands against a start. Raises CommandFailed with exit code 1, and what would accept it, where something
    does.
    """
    left = list({one.name: one for one in items if not one.lets_start}.values())
    if not left:
        say(_("Nothing stands against the start."))
        return
    options = " ".join(f"--accept {one.name.value}" for one in left if one.level == "warning")
    sentence = _("The run would not start: %(names)s.") % {"names": ", ".join(one.name.value for one in left)}
    if options:
        sentence += " " + _("Warnings that you have looked at are accepted by: %(options)s") % {
            "options": options
        }
    raise CommandFailed(sentence, exit_code=RED)


def word_of(one: PreflightItemOut) -> str:
    """How it stands."""
    return _("accepted") if one.accepted else _(one.level.words)


def _said(one: PreflightItemOut) -> str:
    return " ".join(part for part in (one.message, one.helps) if part)
