"""A run that goes on from a checkpoint of another one, or makes a model of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlmodel import Session

from app.accounts.service import Actor
from app.core.errors import Conflict, Invalid
from app.core.i18n import gettext
from app.core.storage import Storage
from app.jobs.events import ProgressPayload
from app.jobs.newest import last_event
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig, parse_config
from app.recipes.continuing import CHANGEABLE, STEPS
from app.recipes.estimates import estimate_steps
from app.recipes.fields import display
from app.recipes.mixing import CURRICULUM
from app.runs.again import has_same_arrays, request_like
from app.runs.backends import Backends
from app.runs.beginning import Beginning, How
from app.runs.checkpoints import Told, checkpoint_folder, require_over, told_checkpoints
from app.runs.mixing import epoch_of
from app.runs.models import Run
from app.runs.preflight.facts import UNSEEN, Ground
from app.runs.service import RunRequest, run_job, start_run
from app.sentences import N_

_SHAPE: Final = N_(
    "%(field)s cannot be changed on the way: weights, optimizer and order of the data at the checkpoint belong to %(value)s. "
    "Begin a new run for that."
)
_NOTHING_LEFT: Final = N_(
    "The checkpoint stands at step %(step)d and the run would have %(total)d: nothing is left to train. Raise %(field)s."
)
_CURRICULUM: Final = N_(
    "%(name)s cannot be changed on the way of a curriculum: it decides where the second dataset ends and the domain begins. Begin "
    "a new run with the adapter of this one."
)
_OTHER_DATA: Final = N_(
    "Run %(id)d cannot go on: what it was trained on is another by now, since the mask check was made anew."
)
_NOT_OURS: Final = N_(
    "%(tool)s trained run %(id)d, and its checkpoints are its own: begin from its adapter instead."
)
_NO_SUCH: Final = N_("Run %(id)d has no checkpoint of step %(step)d. It wrote: %(steps)s.")


@dataclass(frozen=True)
class Onward:
    """From which step of a run, and with what otherwise; `keeps` makes a model of the checkpoint as it is."""

    step: int
    changes: Mapping[str, object] = field(default_factory=dict)
    keeps: bool = False


def go_on(
    session: Session,
    storage: Storage,
    actor: Actor,
    run: Run,
    onward: Onward,
    *,
    backends: Backends,
    ground: Ground = UNSEEN,
    accepted: Collection[str] = (),
    key: str = "",
) -> tuple[Run, bool]:
    """Promise a run that goes on where the checkpoint stands: nothing changed, its losses are those that the first one would
    have had. Or one whose model is the checkpoint, measured on what was held out. The same idempotency key again gives the first
    one and False.

    What was accepted of the run's pre-flight stays so where the evidence is the same; `accepted` names the rest. Raises Invalid
    naming the field that cannot change on the way or leaves nothing to train, Conflict while the run is under way, where its
    arrays are others by now, or where a warning is not accepted.
    """
    request = request_onward(session, storage, run, onward, accepted, key)
    return start_run(session, actor, request, suites=run.evaluate_with, backends=backends, ground=ground)


def request_onward(
    session: Session,
    storage: Storage,
    run: Run,
    onward: Onward,
    accepted: Collection[str] = (),
    key: str = "",
) -> RunRequest:
    """What is asked for with it. Raises as `go_on`, but for the pre-flight."""
    told = require_begins(session, storage, run, onward.step)
    if onward.keeps:
        name = gettext(N_("%(name)s, as of step %(step)d")) % {"name": run.name[:90], "step": told.step}
        return request_like(session, run, run.config, _beginning(run, told, "kept"), name, accepted, key)
    config = changed_config(run.config, onward.changes)
    _require_same_curriculum(run, config)
    total = _total_steps(session, run, config)
    if total is not None and told.step >= total:
        decides = "max_steps" if config.max_steps > 0 else "num_train_epochs"
        raise Invalid(_NOTHING_LEFT, field=decides, step=told.step, total=total)
    name = gettext(N_("%(name)s, on from step %(step)d")) % {"name": run.name[:90], "step": told.step}
    return request_like(session, run, config, _beginning(run, told, "checkpoint"), name, accepted, key)


def changed_config(config: TrainingConfig, changes: Mapping[str, object]) -> TrainingConfig:
    """The config with what may change on the way. Raises Invalid about the first field that may not, or is wrong."""
    changed = parse_config({**config.to_json(), **changes})
    before, after = config.to_json(), changed.to_json()
    for name in TrainingConfig.model_fields:
        if before[name] != after[name] and name not in CHANGEABLE:
            raise Invalid(_SHAPE, field=name, value=display(before[name]))
    if any(before[name] != after[name] for name in STEPS) and changed.max_train_minutes:
        # It was shared out over other steps.
        return changed.model_copy(update={"max_train_minutes": 0.0})
    return changed


def require_begins(session: Session, storage: Storage, run: Run, step: int) -> Told:
    """The checkpoint that something may begin from. Raises Invalid for a step that has none, NotFound for one that is gone from
    the disk, Conflict while the run is under way, for another tool's own, and where the arrays are others by now.
    """
    if run.config.backend != STUDIO:
        raise Conflict(_NOT_OURS, tool=run.config.backend, id=run.id)
    require_over(run_job(session, run))
    told = told_checkpoints(session, run)
    for one in told:
        if one.step == step:
            checkpoint_folder(storage, run.job_id, step)
            if not has_same_arrays(session, run):
                raise Conflict(_OTHER_DATA, id=run.id)
            return one
    raise Invalid(
        _NO_SUCH, field="step", id=run.id, step=step, steps=", ".join(str(one.step) for one in told) or "–"
    )


def _require_same_curriculum(run: Run, config: TrainingConfig) -> None:
    """Where one dataset ends and the other begins follows from the number of steps."""
    if run.mix_check_id is None or config.mix_order != CURRICULUM:
        return
    for name in STEPS:
        if getattr(config, name) != getattr(run.config, name):
            raise Invalid(_CURRICULUM, field=name, name=name)


def _total_steps(session: Session, run: Run, config: TrainingConfig) -> int | None:
    """Of the run that goes on, as far as it is known before its samples are read."""
    if all(getattr(config, name) == getattr(run.config, name) for name in STEPS):
        progress = last_event(session, run.job_id, ProgressPayload)
        return progress["total_steps"] if progress else None
    return estimate_steps(epoch_of(session, run).samples, config).steps


def _beginning(run: Run, told: Told, how: How) -> Beginning:
    assert run.id is not None
    return Beginning(how=how, run_id=run.id, run=run.name, step=told.step, eval_loss=told.eval_loss)
