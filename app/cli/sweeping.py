"""`sweep`: a few values of some settings tried as a group of runs; `sweeps`: those that there are."""

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import (
    AcceptOption,
    AdapterOption,
    DatasetOption,
    DeviceOption,
    JsonOption,
    KeyOption,
    MixOption,
    MixShareOption,
    ModelOption,
    OrderOption,
    RecipeOption,
    WaitOption,
)
from app.cli.preflighting import SuiteOption, require_start, word_of
from app.cli.training import prepare
from app.client.pipeline import check_recipe, mixing_changes, new_idempotency_key, split_changes
from app.client.rest import StudioClient
from app.core.console import CommandFailed, Id, print_json, print_table, say
from app.core.formatting import duration, file_size, number
from app.core.i18n import gettext as _
from app.jobs.devices import ANY, parse_wish
from app.jobs.models import JobState
from app.recipes.axes import Axis, combinations, make_axis, read_axis, require_apart, split_values
from app.recipes.fields import display
from app.runs.preflight.items import Name
from app.runs.sweeps.schemas import SweepOut, SweepPlanOut
from app.runs.sweeps.service import HowToStop

POLL_SECONDS: Final = 2.0
ValuesOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE,VALUE",
        help=_(
            "A setting with its values; with one value all runs have it. Settings that change together: "
            "lora_r:lora_alpha=16:32,64:128. May be repeated."
        ),
    ),
]
PlanOption = Annotated[
    bool,
    typer.Option(
        "--plan",
        help=_("Say what would be started and what stands against it, and start nothing: exit code 0 or 1."),
    ),
]
SweepArgument = Annotated[int, typer.Argument(help=_("Id of the sweep."))]

app = typer.Typer(help=_("Sweeps: list, show, rename, stop."), no_args_is_help=True)


def sweep(
    dataset: DatasetOption,
    model: ModelOption,
    values: ValuesOption,
    recipe: RecipeOption = "standard",
    mix: MixOption = "",
    mix_share: MixShareOption = None,
    order: OrderOption = "",
    init_adapter: AdapterOption = None,
    suite: SuiteOption = None,
    name: Annotated[str, typer.Option("--name", help=_("Name of the sweep."))] = "",
    accept: AcceptOption = None,
    dry_run: PlanOption = False,
    device: DeviceOption = ANY,
    key: KeyOption = "",
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `sweep`."""
    wish = parse_wish(device)
    wanted, axes = _axes(mixing_changes(values, mix_share, order))
    if axes:
        combinations(axes)
    first = {field: value for axis in axes for field, value in zip(axis.fields, axis.values[0], strict=True)}
    with connect(url) as client:
        check_recipe(client, recipe, {**wanted, **first})
        if not axes:
            raise CommandFailed(
                _(
                    "Nothing differs: give a setting several values, as in --set learning_rate=2e-5,5e-5, or use “sft-studio train”."
                )
            )
        check, beside = prepare(client, dataset, model, recipe, wanted, mix, patient=wait)
        body: dict[str, Any] = {
            "mask_check_id": check.id,
            "mix_check_id": beside.id if beside else None,
            "recipe": recipe,
            "changes": split_changes(wanted)[1],
            "axes": [_told(axis) for axis in axes],
            "init_adapter": init_adapter,
            "device": wish,
            "evaluate_with": suite or [],
            "confirmed": True,
            "accepted_warnings": accept or [],
        }
        plan = client.plan_sweep(body)
        say(_planned(plan))
        if dry_run:
            return _print_plan(plan, as_json=as_json)
        body |= {"name": name}
        found = client.start_sweep(body, key or new_idempotency_key())
        say(_("Sweep %(id)d: %(url)s") % {"id": found.id, "url": client.page(f"/sweeps/{found.id}")})
        if wait:
            found = wait_for_sweep(client, found)
        _print(found, as_json=as_json)
        if wait and not any(run.state is JobState.SUCCEEDED for run in found.runs):
            reasons = " ".join(one.reason for one in found.failures)
            raise CommandFailed(_("None of the runs succeeded. %(reasons)s") % {"reasons": reasons})


@app.command("list", help=_("List the sweeps, newest first."))
def list_sweeps(url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `sweeps list`."""
    with connect(url) as client:
        found = client.sweeps()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows: list[list[object]] = [
        [
            Id(one.id),
            one.name,
            len(one.runs),
            _("done") if one.is_over else _("under way"),
            Id(one.best_run_id) if one.best_run_id else "–",
        ]
        for one in found
    ]
    print_table(["id", _("name"), _("runs"), _("state"), _("best run")], rows)


@app.command("show", help=_("Show the runs of a sweep side by side."))
def show(sweep: SweepArgument, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `sweeps show`."""
    with connect(url) as client:
        _print(client.sweep(sweep), as_json=as_json)


@app.command("rename", help=_("Give a sweep another name."))
def rename(
    sweep: SweepArgument,
    name: Annotated[str, typer.Argument(help=_("The new name."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `sweeps rename`."""
    with connect(url) as client:
        _print(client.rename_sweep(sweep, name), as_json=as_json)


@app.command("stop", help=_("Cancel the runs that wait; with --all, end the others as well."))
def stop(
    sweep: SweepArgument,
    all_runs: Annotated[
        bool,
        typer.Option(
            "--all", help=_("End those under way and paused ones too; what they have learned is kept.")
        ),
    ] = False,
    discard: Annotated[
        bool,
        typer.Option("--discard", help=_("End all of them, and keep nothing of what they have learned.")),
    ] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `sweeps stop`."""
    how: HowToStop | None = "cancel" if discard else "save" if all_runs else None
    with connect(url) as client:
        _print(client.stop_sweep(sweep, how), as_json=as_json)


def wait_for_sweep(client: StudioClient, sweep: SweepOut) -> SweepOut:
    """The sweep once all its runs have ended; each is told of when it does."""
    client.be_patient()
    told: set[int] = set()
    try:
        while True:
            for run in sweep.runs:
                if run.run_id not in told and run.state.is_final:
                    told.add(run.run_id)
                    values = ", ".join(f"{field} {text}" for field, text in run.values.items())
                    loss = number(run.best_eval_loss, 4)
                    said = {"id": run.run_id, "values": values, "state": run.status, "loss": loss}
                    say(_("Run %(id)d (%(values)s): %(state)s, held-out loss %(loss)s") % said)
            if sweep.is_over:
                return sweep
            time.sleep(POLL_SECONDS)
            sweep = client.sweep(sweep.id)
    except KeyboardInterrupt:
        say(
            _("The runs go on without us. Look at them with “sft-studio sweeps show %(id)d”.")
            % {"id": sweep.id}
        )
        raise


def _axes(wanted: Mapping[str, Any]) -> tuple[dict[str, Any], list[Axis]]:
    """What all runs have, and what differs, in the order in which it was said."""
    single, axes = {}, []
    for name, value in wanted.items():
        if isinstance(value, list) and name != "lora_target_modules":
            axes.append(make_axis((name,), [(one,) for one in value]))
        elif isinstance(value, str) and (":" in name or len(split_values(name, value)) > 1):
            axes.append(read_axis(name, value))
        else:
            single[name] = value
    require_apart(single, axes)
    return single, axes


def _told(axis: Axis) -> dict[str, Any]:
    """As REST reads it."""
    return {"fields": axis.fields, "values": [list(step) for step in axis.values]}


def _planned(plan: SweepPlanOut) -> str:
    parts = [_("%(count)d runs") % {"count": len(plan.runs)}]
    if plan.seconds:
        parts.append(_("about %(time)s") % {"time": duration(plan.seconds)})
    if plan.disk_bytes is not None:
        parts.append(_("up to %(size)s of checkpoints") % {"size": file_size(plan.disk_bytes)})
    return ", ".join(parts)


def _print_plan(plan: SweepPlanOut, *, as_json: bool) -> None:
    """The runs, and the list of each: what all have alike once. Raises CommandFailed where something stands against a start."""
    if as_json:
        print_json(plan.model_dump(mode="json"))
    else:
        rows: list[list[object]] = [[run.values, run.steps or "–"] for run in plan.runs]
        print_table([_("run"), _("steps")], rows)
        print_table([_("item"), _("state"), _("run"), _("evidence")], list(_looked_at(plan)))
    require_start([item for run in plan.runs for item in run.preflight])


def _looked_at(plan: SweepPlanOut) -> Iterator[list[object]]:
    told: dict[tuple[str, str, str], list[str]] = {}
    for run in plan.runs:
        for one in run.preflight:
            told.setdefault((one.name.value, word_of(one), one.message), []).append(run.values)
    places = {name.value: place for place, name in enumerate(Name)}
    for (name, word, message), runs in sorted(told.items(), key=lambda one: places[one[0][0]]):
        yield [name, word, _("all") if len(runs) == len(plan.runs) else "; ".join(runs), message]


def _print(sweep: SweepOut, *, as_json: bool) -> None:
    if as_json:
        print_json(sweep.model_dump(mode="json"))
        return
    fields = [field for axis in sweep.axes for field in axis.fields]
    rows: list[list[object]] = [
        [
            f"{run.run_id} ★" if run.run_id == sweep.best_run_id else Id(run.run_id),
            *(display(run.values.get(field)) for field in fields),
            run.status,
            number(run.best_eval_loss, 4),
            number(run.last_eval_loss, 4),
            run.verdict or "",
            duration(run.seconds),
        ]
        for run in sweep.runs
    ]
    heads = [_("run"), *fields, _("state"), _("best held-out loss"), _("last"), _("verdict"), _("time")]
    print_table(heads, rows)
    for one in sweep.failures:
        say(_("%(count)d failed: %(reason)s") % {"count": one.runs, "reason": one.reason})
