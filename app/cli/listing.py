"""`list`, `status` and `approve`: what a person or a script wants to know or do in between."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from app.cli.connection import UrlOption, connect
from app.cli.options import DatasetOption, JsonOption
from app.cli.training import say_remedy
from app.client.pipeline import require_dataset
from app.client.rest import StudioClient
from app.core.console import Id, print_json, print_table, say
from app.core.i18n import gettext as _
from app.jobs.models import JobState
from app.recipe_book.schemas import RecipeOut
from app.recipes.fields import FIELDS, display
from app.runs.schemas import RunOut
from app.runs.tracking_schemas import TrackedOut


class Listed(StrEnum):
    """What can be listed."""

    DATASETS = "datasets"
    EVALUATIONS = "evaluations"
    MODELS = "models"
    RECIPES = "recipes"
    RUNS = "runs"
    SUITES = "suites"


_COLUMNS: dict[Listed, tuple[str, ...]] = {
    Listed.DATASETS: ("id", "name", "draft", "approved", "rejected"),
    Listed.EVALUATIONS: ("id", "run_id", "suite_name", "job.status", "summary.verdict.detail"),
    # What fits beside each other in a terminal; --json has the rest.
    Listed.MODELS: ("id", "name", "source", "is_ready", "info.parameters", "info.context_length"),
    Listed.RUNS: ("id", "name", "recipe", "job.status", "created_at"),
    Listed.SUITES: ("name",),
}

# Of columns that are not called as their field is.
_HEADS = {"summary.verdict.detail": "verdict"}


def list_things(
    what: Annotated[Listed, typer.Argument(help=_("What to list."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `list`."""
    with connect(url) as client:
        if what is Listed.RECIPES and not as_json:
            _print_recipes(client.recipes())
            return
        found = _found(client, what)
    if as_json:
        print_json([item.model_dump(mode="json") for item in found])
        return
    columns = _COLUMNS[what]
    print_table(
        [_HEADS.get(name, name.rsplit(".", 1)[-1]) for name in columns],
        [[_cell(row, name) for name in columns] for row in found],
    )


def _found(client: StudioClient, what: Listed) -> Sequence[BaseModel]:
    match what:
        case Listed.DATASETS:
            return client.datasets()
        case Listed.EVALUATIONS:
            return client.evaluations()
        case Listed.MODELS:
            return client.base_models()
        case Listed.RECIPES:
            return client.recipes()
        case Listed.RUNS:
            return client.runs()
        case Listed.SUITES:
            return client.suites()


def _print_recipes(recipes: Sequence[RecipeOut]) -> None:
    """A row for each field that `train --set` takes: what the recipes say, and what it may be."""
    recipes = [recipe for recipe in recipes if recipe.config is not None]
    rows: list[list[object]] = [[name, _said(recipes, name), field.allowed] for name, field in FIELDS.items()]
    print_table([_("setting"), ", ".join(recipe.name for recipe in recipes), _("allowed")], rows)


def _said(recipes: Sequence[RecipeOut], name: str) -> str:
    """One value where all agree, else each recipe's."""
    values = {recipe.name: display(getattr(recipe.config, name)) for recipe in recipes}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "; ".join(f"{recipe} {value}" for recipe, value in values.items())


def _cell(row: BaseModel, name: str) -> object:
    value: Any = row.model_dump()
    for part in name.split("."):
        value = None if value is None else value[part]
    if isinstance(value, list):
        return ", ".join(value)
    return Id(value) if name.rsplit("_", 1)[-1] == "id" and value is not None else value


def status(
    run: Annotated[
        int | None, typer.Option("--run", help=_("Id of a run; without it the server itself."))
    ] = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `status`."""
    found: RunOut | None = None
    with connect(url) as client:
        if run is not None:
            found, verdict, trackers = client.run(run), client.verdict(run), client.trackers(run)
            rows: list[list[object]] = [
                [
                    Id(found.id),
                    found.name,
                    found.job.status,
                    f"{verdict.word}: {verdict.detail}" if verdict else "",
                    found.job.error or "",
                    *(_tracked(one) for one in trackers),
                ]
            ]
            columns = ["id", "name", "status", "verdict", "error", *(one.title for one in trackers)]
            value = {
                **found.model_dump(mode="json"),
                "verdict": verdict and verdict.model_dump(mode="json"),
                "trackers": [one.model_dump(mode="json") for one in trackers],
            }
        else:
            running = [
                item for item in client.runs() if item.job.state in (JobState.QUEUED, JobState.RUNNING)
            ]
            unfinished = [item.model_dump(mode="json") for item in running]
            value = {"url": client.url, "datasets": len(client.datasets()), "unfinished_runs": unfinished}
            rows = [[client.url, value["datasets"], len(running)]]
            columns = ["url", "datasets", "unfinished runs"]
    if as_json:
        print_json(value)
    else:
        print_table(columns, rows)
        if found is not None:
            say_remedy(found)


def _tracked(one: TrackedOut) -> str:
    """Its address there, and what keeps it from being told."""
    return " ".join(part for part in (one.url or one.destination, one.detail) if part)


def approve(dataset: DatasetOption, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `approve`."""
    with connect(url) as client:
        found = require_dataset(client, dataset)
        report = client.review_drafts(found.id, "approved")
    say(
        _("%(changed)d approved, %(refused)d refused")
        % {"changed": report.changed, "refused": len(report.refused)}
    )
    for refusal in report.refused:
        say(_("conversation %(id)d: %(reason)s") % {"id": refusal.conversation_id, "reason": refusal.reason})
    if as_json:
        print_json(report.model_dump(mode="json"))
