"""A new run like an earlier one: the same data, recipe and settings, with some fields otherwise."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from sqlmodel import Session

from app.core.errors import Conflict
from app.recipes.config import TrainingConfig
from app.recipes.fields import displayed
from app.recipes.recipes import Recipe, RecipeBook, values_of
from app.runs.again import has_same_arrays, request_on_its_data
from app.runs.models import Run
from app.runs.service import RunRequest
from app.sentences import N_

STANDARD: Final = "standard"
_OTHER_DATA: Final = N_(
    "What run %(id)d was trained on is another by now, since the mask check was made anew, so nobody has looked at it: start "
    "a new run on its version."
)


def repeated(run: Run) -> TrainingConfig:
    """The config that gives the same run again: steps that were planned for a machine's speed are now a number."""
    plan = run.result.plan if run.result else None
    if plan is None or not plan.minutes:
        return run.config
    return run.config.model_copy(update={"max_steps": plan.steps, "max_train_minutes": 0.0})


def recipe_like(run: Run, book: RecipeBook) -> tuple[Recipe, TrainingConfig, list[str]]:
    """The run's recipe as it is now, or the standard where it is gone; the run's config; and the fields in which they differ."""
    base, config = book.find(run.recipe) or book.require(STANDARD), repeated(run)
    said, own = values_of(base, config.method), displayed(config)
    return base, config, [name for name in own if own[name] != said[name]]


def request_alike(
    session: Session,
    book: RecipeBook,
    run: Run,
    changes: Mapping[str, object],
    accepted: Collection[str] = (),
    key: str = "",
) -> RunRequest:
    """What is asked for with a run like this one but for `changes`. What was accepted of its pre-flight stays so where the evidence
    is the same. One that began with an adapter begins with it once more; one that went on from a checkpoint, from the base model.

    Raises Conflict where the arrays that were confirmed are others by now.
    """
    if not has_same_arrays(session, run):
        raise Conflict(_OTHER_DATA, id=run.id)
    base, config, names = recipe_like(run, book)
    values = config.to_json()
    begins = run.begins
    return replace(
        request_on_its_data(session, run, accepted, key),
        recipe=base.name,
        changes={**config.method.fields, **{name: values[name] for name in names}, **changes},
        init_adapter=begins.run_id if begins and begins.how == "adapter" else None,
    )
