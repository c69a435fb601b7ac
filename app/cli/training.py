"""`train`: from a dataset's name to a finished run, with the mask check in between; `again`: a run once more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.advising import advice_taken
from app.cli.connection import UrlOption, connect
from app.cli.options import (
    AcceptOption,
    AdapterOption,
    ChangesOption,
    DatasetOption,
    DeviceOption,
    JsonOption,
    KeyOption,
    LookOption,
    MixOption,
    MixShareOption,
    ModelOption,
    OrderOption,
    RecipeOption,
    TaskOption,
    WaitOption,
    as_options,
)
from app.cli.preflighting import SuiteOption, show_preflight
from app.cli.progress import JobProgress
from app.cli.text_files import read_text_file
from app.client.pipeline import (
    check_base_model,
    check_recipe,
    ensure_base_model,
    mixing_changes,
    new_idempotency_key,
    parse_changes,
    require_dataset,
    require_green_check,
    require_mix,
    require_other,
    split_changes,
)
from app.client.rest import StudioClient
from app.client.waiting import JobEnded, wait_for_job
from app.core.console import print_json, say
from app.core.i18n import gettext as _
from app.core.i18n import say as translated
from app.jobs.devices import ANY, parse_wish
from app.jobs.models import JobState
from app.mask_checks.schemas import MaskCheckOut
from app.recipes.foreign import LARGEST_BYTES, read_sound
from app.runs.schemas import RunOut, RunStartedOut

# What a mask check says at the start of a run, and a plan asks for by itself.
_OF_THE_PLAN: Final = ("dataset_version_id", "base_model_id", "task")


def train(
    dataset: DatasetOption,
    model: ModelOption,
    recipe: RecipeOption = "standard",
    changes: ChangesOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help=_(
                "A training config of LLaMA-Factory or Axolotl, or an exported recipe (YAML), to begin with; --set wins."
            ),
        ),
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(
            "--take",
            metavar="FIELD|all",
            help=_("Take the advice on this setting, as “advise” gives it, or all of it. May be repeated."),
        ),
    ] = None,
    task: TaskOption = None,
    mix: MixOption = "",
    mix_share: MixShareOption = None,
    order: OrderOption = "",
    suite: SuiteOption = None,
    name: Annotated[str, typer.Option("--name", help=_("Name of the run."))] = "",
    accept: AcceptOption = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help=_(
                "Freeze and check the masks, then say what stands against the start, and start nothing: exit code 0 or 1."
            ),
        ),
    ] = False,
    device: DeviceOption = ANY,
    key: KeyOption = "",
    init_adapter: AdapterOption = None,
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `train`."""
    wish = parse_wish(device)
    wanted = {**(_foreign(config) if config else {}), **mixing_changes(changes or [], mix_share, order)}
    with connect(url) as client:
        body = _checked(client, dataset, model, recipe, wanted, mix, patient=wait)
        body |= {"accepted_warnings": accept or [], "init_adapter": init_adapter, "device": wish}
        body |= {"evaluate_with": suite or [], "task": task.value if task else None}
        if take:
            body["changes"] = advice_taken(client, body, take)
        if dry_run:
            return show_preflight(client.plan_run(body).preflight, as_json=as_json)
        start = {key: value for key, value in body.items() if key not in _OF_THE_PLAN} | {"name": name}
        follow(client, client.start_run(start, key or new_idempotency_key()), wait=wait, as_json=as_json)


def again(
    run: Annotated[int, typer.Option("--run", help=_("Id of the run."))],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help=_(
                "What is otherwise than in that run; without it the same run is made again. May be repeated."
            ),
        ),
    ] = None,
    accept: AcceptOption = None,
    dry_run: LookOption = False,
    key: KeyOption = "",
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `again`."""
    body = {"changes": parse_changes(changes or []), "accepted_warnings": accept or []}
    with connect(url) as client:
        if dry_run:
            return show_preflight(client.look_before_again(run, body).preflight, as_json=as_json)
        made = client.run_again(run, body, key or new_idempotency_key())
        follow(client, made, wait=wait, as_json=as_json)


def _foreign(path: Path) -> dict[str, Any]:
    """The fields that another tool's config has for us; what has no meaning here, key or value, is said by name."""
    read = read_sound(read_text_file(path, LARGEST_BYTES))
    for note in read.notes:
        say(translated(note))
    return read.values


def follow(client: StudioClient, run: RunOut, *, wait: bool, as_json: bool) -> None:
    """Says where the run that was just asked for is, waits for its end if wanted, and prints it as JSON if wanted."""
    already = isinstance(run, RunStartedOut) and run.already_started
    told = _("Run %(id)d was started already with this key: %(url)s") if already else _("Run %(id)d: %(url)s")
    say(told % {"id": run.id, "url": client.page(f"/runs/{run.id}")})
    if wait:
        run = wait_for_run(client, run, as_json=as_json)
    if as_json:
        print_json(run.model_dump(mode="json"))


def _checked(
    client: StudioClient,
    dataset: str,
    model: str,
    recipe: str,
    wanted: dict[str, Any],
    mix: str,
    *,
    patient: bool,
) -> dict[str, Any]:
    """The request for a plan of a run whose mask checks are green."""
    check, beside = prepare(client, dataset, model, recipe, wanted, mix, patient=patient)
    return {
        "dataset_version_id": check.dataset_version_id,
        "base_model_id": check.base_model_id,
        "mask_check_id": check.id,
        **({} if beside is None else {"mix_check_id": beside.id}),
        "recipe": recipe,
        "changes": split_changes(wanted)[1],
        "confirmed": True,
    }


def prepare(
    client: StudioClient,
    dataset: str,
    model: str,
    recipe: str,
    wanted: dict[str, Any],
    mix: str,
    *,
    patient: bool,
) -> tuple[MaskCheckOut, MaskCheckOut | None]:
    """Freeze what is approved, prepare the model, and have the masks checked: the green mask check, and that of `mix`."""
    found = require_dataset(client, dataset)
    if patient:
        client.be_patient()
    check_recipe(client, recipe, wanted)
    check_base_model(client, model)
    beside = require_mix(client, mix, found, freezes=True) if mix else None
    version = client.freeze(found.id)
    require_other(version.id, beside)
    if not version.is_new:
        say(
            _("What is approved is the same as version %(number)d, so no new version was made.")
            % {"number": version.number}
        )
    say(
        _("Version %(number)d of “%(name)s”: %(train)d conversations to train on, %(validation)d held out")
        % {
            "number": version.number,
            "name": found.name,
            "train": version.train_count,
            "validation": version.validation_count,
        }
    )
    with JobProgress(_("Base model")) as progress:
        base_model = ensure_base_model(client, model, progress)
    with JobProgress(_("Mask check")) as progress:
        settings = split_changes(wanted)[0]
        check = require_green_check(client, version.id, base_model.id, settings, progress)
    if beside is None:
        return check, None
    with JobProgress(_("Mask check of what is mixed in")) as progress:
        return check, require_green_check(client, beside.id, base_model.id, settings, progress)


def wait_for_run(client: StudioClient, run: RunOut, *, as_json: bool, after: int = 0) -> RunOut:
    """The run once it has ended well, with its progress shown until then, from the event of that number on."""
    try:
        with JobProgress(_("Training")) as progress:
            wait_for_job(client, run.job, progress, what=_("The run"), after=after)
    except JobEnded:
        found = client.run(run.id)
        if as_json:
            print_json(found.model_dump(mode="json"))
        if found.job.state is JobState.FAILED:
            _say_checkpoint(client, found)
            say_remedy(found)
        raise
    except KeyboardInterrupt:
        say(
            _(
                "The run goes on without us. Stop it on its page or look at it with “sft-studio status --run ID”."
            )
        )
        raise
    return client.run(run.id)


def _say_checkpoint(client: StudioClient, run: RunOut) -> None:
    """What is left of a run that failed, where another can go on from it."""
    kept = [one.step for one in client.checkpoints(run.id) if one.gone is None]
    if kept:
        told = _(
            "Its checkpoint of step %(step)d is kept: “sft-studio continue --run %(id)d --step %(step)d” goes on from there."
        )
        say(told % {"id": run.id, "step": max(kept)})


def say_remedy(run: RunOut) -> None:
    """What a run that failed wants otherwise, with the command that starts it so."""
    if run.remedy is not None:
        say(run.remedy.advice)
        say(again_with(run.id, run.remedy.changes))


def again_with(run_id: int, changes: Mapping[str, object]) -> str:
    """How a run like this one is started with changes, as a sentence."""
    told = _("New run with this change: %(command)s")
    return told % {"command": f"sft-studio again --run {run_id} {as_options(changes)}"}
