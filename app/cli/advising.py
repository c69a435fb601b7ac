"""`advise`: what a run would be and take, and what to set for these data, before anything is started."""

from typing import Any, Final

from app.cli.connection import UrlOption, connect
from app.cli.options import (
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
    TaskOption,
    as_options,
)
from app.client.pipeline import (
    check_recipe,
    mixing_changes,
    require_base_model,
    require_dataset,
    require_mix,
    require_other,
    split_changes,
)
from app.client.rest import StudioClient
from app.core.console import CommandFailed, print_json, print_table, say
from app.core.formatting import duration, file_size
from app.core.i18n import gettext as _
from app.jobs.devices import ANY
from app.runs.plan_schemas import PlanOut

_ALL: Final = "all"


def advise(
    dataset: DatasetOption,
    model: ModelOption,
    recipe: RecipeOption = "standard",
    changes: ChangesOption = None,
    mix: MixOption = "",
    mix_share: MixShareOption = None,
    order: OrderOption = "",
    init_adapter: AdapterOption = None,
    task: TaskOption = None,
    device: DeviceOption = ANY,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `advise`."""
    wanted = mixing_changes(changes or [], mix_share, order)
    with connect(url) as client:
        asked = {"task": task.value if task else None, "init_adapter": init_adapter, "device": device}
        plan = plan_of_newest(client, dataset, model, recipe, wanted, mix, asked)
    if as_json:
        print_json(plan.model_dump(mode="json"))
        return
    print_table([_("what"), _("how much")], _figures(plan))
    for line in (*plan.warnings, *plan.notes):
        say(line)
    if plan.advice:
        options = as_options({one.field: one.value for one in plan.advice})
        say(_("To take all of it: %(options)s, or “train --take all”.") % {"options": options})
        rows: list[list[object]] = [[f"{one.field}={one.value}", one.why, one.rule] for one in plan.advice]
        print_table([_("setting"), _("why"), _("rule")], rows)


def plan_of_newest(
    client: StudioClient,
    dataset: str,
    model: str,
    recipe: str,
    wanted: dict[str, Any],
    mix: str,
    asked: dict[str, Any],
) -> PlanOut:
    """The plan of a run on the dataset's newest version, by the newest mask check; nothing is made or started."""
    found = require_dataset(client, dataset)
    check_recipe(client, recipe, wanted)
    base_model = require_base_model(client, model)
    versions = client.versions(found.id)
    if not versions:
        raise CommandFailed(
            _(
                "“%(name)s” has no frozen version yet. Approve conversations, then “sft-studio train” freezes one."
            )
            % {"name": found.name}
        )
    newest = max(versions, key=lambda version: version.number)
    beside = require_mix(client, mix, found) if mix else None
    require_other(newest.id, beside)
    body = {
        "dataset_version_id": newest.id,
        "base_model_id": base_model.id,
        "mix_version_id": beside.id if beside else None,
        "recipe": recipe,
        "changes": split_changes(wanted)[1],
        **asked,
    }
    return client.plan_run(body)


def advice_taken(client: StudioClient, body: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """The changes of a start with the advice on its plan that is wanted, by field or `all`, each said with its why. What is set by
    `--set` stays under `all`. Raises CommandFailed for a field that there is no advice on."""
    changes: dict[str, Any] = body["changes"]
    advice = {one.field: one for one in client.plan_run(body).advice}
    for name in wanted:
        if name != _ALL and name not in changes and name not in advice:
            there = ", ".join(advice) or "–"
            raise CommandFailed(
                _("--take: there is no advice on %(key)s for this run. There is on: %(names)s.")
                % {"key": name, "names": there}
            )
    # What is advised for one reason belongs together: a larger batch, and fewer of them for a step.
    reasons = {advice[name].why for name in wanted if name in advice}
    asked_for = {*wanted, *(one.field for one in advice.values() if one.why in reasons)}
    for name in sorted(asked_for & changes.keys()):
        raise CommandFailed(_("%(key)s is given by --set and by --take. Keep one of them.") % {"key": name})
    left_alone = {one.why for one in advice.values() if one.field in changes}
    taken = [
        one
        for one in advice.values()
        if one.field in asked_for or (_ALL in wanted and one.why not in left_alone)
    ]
    for one in taken:
        say(_("Taken: %(change)s. %(why)s") % {"change": f"{one.field}={one.value}", "why": one.why})
    if not taken:
        say(_("There is no advice to take."))
    return {**changes, **{one.field: one.value for one in taken}}


def _counted(number: int | None, *, exact: bool) -> object:
    return number if exact or number is None else _("about %(count)d") % {"count": number}


def _figures(plan: PlanOut) -> list[list[object]]:
    rows: list[list[object]] = [
        [_("Samples a step"), plan.samples_per_step],
        [_("Steps"), plan.steps],
        [_("Epochs"), plan.epochs],
        [_("Tokens"), _counted(plan.tokens, exact=plan.tokens_exact)],
        [_("Trained tokens"), _counted(plan.trained_tokens, exact=plan.tokens_exact)],
        [_("Time"), duration(plan.seconds)],
        [_("Disk"), file_size(plan.disk_bytes)],
    ]
    if plan.mix:
        trained = "–" if plan.mix.trained_share is None else f"{plan.mix.trained_share:.0%}"
        values = {"count": plan.mix.conversations, "share": f"{plan.mix.share:.0%}", "trained": trained}
        said = _("%(count)d conversations an epoch: %(share)s of all, %(trained)s of the trained tokens")
        rows.append([_("Mixed in"), said % values])
    if plan.begins:
        told = _("The adapter of run %(id)d, step %(step)d")
        rows.append([_("Begins from"), told % {"id": plan.begins.run_id, "step": plan.begins.step}])
    if plan.memory:
        told = (
            _("%(needed)s of %(total)s (%(device)s): %(fits)s")
            if plan.memory.free_bytes is None
            else _("%(needed)s of %(free)s free (%(device)s): %(fits)s")
        )
        said = told % {
            "needed": file_size(plan.memory.needed_bytes),
            "free": file_size(plan.memory.free_bytes),
            "total": file_size(plan.memory.total_bytes),
            "device": plan.memory.device,
            "fits": _(plan.memory.fits.words),
        }
        rows.append([_("Memory"), said])
    return [[name, "–" if value is None else value] for name, value in rows]
