"""A run that begins with the adapter of another one: which may, and the shape that it takes over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from app.core.errors import Invalid
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.continuing import ADAPTER_SHAPE
from app.recipes.fields import display
from app.recipes.recipes import Recipe, build_config
from app.runs.beginning import Beginning
from app.runs.models import Run
from app.sentences import N_

_NO_RUN: Final = N_("There is no run %(id)d to begin from.")
_NO_ADAPTER: Final = N_("Run %(id)d has no adapter to begin from: it has not ended with one.")
_WHOLE: Final = N_(
    "Run %(id)d trained every weight, so it has no adapter: make its model a base model first, on its page or by POST "
    "/api/v1/runs/%(id)d/base-model, and begin from that."
)
_OTHER_BASE: Final = N_(
    "The adapter of run %(id)d is for another base model: choose that one, or begin from the base model."
)
_SHAPE: Final = N_(
    "%(field)s is %(value)s in the adapter that the run begins from, and cannot be another. Leave it, or begin from the base "
    "model."
)
_STUDIO_ONLY: Final = N_("Only the studio itself begins from an earlier adapter: set backend to studio.")


def require_adapter(session: Session, run_id: int, base_model_id: int) -> Run:
    """The run, whose adapter fits the base model. Raises Invalid naming `init_adapter`."""
    run = session.get(Run, run_id)
    if run is None:
        raise Invalid(_NO_RUN, field="init_adapter", id=run_id)
    if run.adapter_key is not None and not run.config.use_peft:
        raise Invalid(_WHOLE, field="init_adapter", id=run_id)
    if run.adapter_key is None or run.result is None:
        raise Invalid(_NO_ADAPTER, field="init_adapter", id=run_id)
    if run.base_model_id != base_model_id:
        raise Invalid(_OTHER_BASE, field="init_adapter", id=run_id)
    return run


def begin_with(run: Run) -> Beginning:
    """At the weights that the run kept."""
    assert run.id is not None
    assert run.result is not None
    return Beginning(
        how="adapter",
        run_id=run.id,
        run=run.name,
        step=run.result.adapter_step,
        eval_loss=run.result.eval_loss,
    )


def shape_of(run: Run) -> dict[str, object]:
    """The fields that an adapter's weights decide, as its run has them."""
    return {name: getattr(run.config, name) for name in ADAPTER_SHAPE}


def with_shape(recipe: Recipe, changes: Mapping[str, object], run: Run) -> dict[str, object]:
    """The changes with the adapter's shape. Raises Invalid about the first field that asks for another one."""
    asked = build_config(recipe, changes)
    for name, value in shape_of(run).items():
        if name in changes and getattr(asked, name) != value:
            raise Invalid(_SHAPE, field=name, value=display(value))
    return {**changes, **shape_of(run)}


@dataclass(frozen=True)
class Further:
    """The adapter that a run begins with, if any, and what is asked with it."""

    parent: Run | None

    @property
    def begins(self) -> Beginning | None:
        """Where it begins; None at the base model."""
        return begin_with(self.parent) if self.parent else None

    @property
    def locked(self) -> Collection[str]:
        """Fields that the adapter decides."""
        return ADAPTER_SHAPE if self.parent else ()

    def changes(self, recipe: Recipe, changes: Mapping[str, object]) -> Mapping[str, object]:
        """Those that are asked for, with the adapter's shape. Raises Invalid as `with_shape`."""
        return with_shape(recipe, changes, self.parent) if self.parent else changes

    def require_fitting(self, config: TrainingConfig) -> None:
        """Raises Invalid where another program is to go on with it."""
        if self.parent:
            require_studio(config)


def read_further(session: Session, init_adapter: int | None, base_model_id: int) -> Further:
    """By the run's id. Raises Invalid naming `init_adapter`."""
    if init_adapter is None:
        return Further(None)
    return Further(require_adapter(session, init_adapter, base_model_id))


def require_studio(config: TrainingConfig) -> None:
    """Raises Invalid where another program is to train."""
    if config.backend != STUDIO:
        raise Invalid(_STUDIO_ONLY, field="backend")
