"""Where a run begins: its own newest checkpoint, one of another run, another run's adapter, or the base model."""

from pathlib import Path
from typing import Any, Final

from peft import get_peft_model_state_dict, set_peft_model_state_dict

from app.jobs.events import Emit, EventKind
from app.recipes.config import TrainingConfig
from app.recipes.continuing import STEPS
from app.recipes.estimates import estimate_steps
from app.runs.beginning import BeginAt
from app.runs.result import TrainingPlan
from app.runs.work import TrainInput
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed, log
from worker.work.training.checkpoints import Checkpoint, checkpoints_in, is_whole, newest_whole
from worker.work.training.planning import kept_plan
from worker.work.training.weights import ADAPTER_WEIGHTS, load_state

_TORN: Final = N_(
    "The checkpoint at step %(step)d of run %(run)d is not whole any more: go on from another one, or begin a new run."
)
_OTHER_ADAPTER: Final = N_(
    "The adapter of run %(run)d does not fit this base model and config: other layers or another rank. Begin a new run."
)


def find_start(job: TrainInput, emit: Emit) -> Checkpoint | None:
    """The checkpoint to go on from: of an earlier attempt, else of the run that this one goes on from. A later attempt says how
    far the record is still true.

    Raises JobFailed where the latter is torn.
    """
    found = _start(job, emit)
    if job.resume_from is not None:
        emit(EventKind.RESTORED, step=found.step if found else 0)
    return found


def _start(job: TrainInput, emit: Emit) -> Checkpoint | None:
    own = find_checkpoint(job.resume_from, emit)
    begin = begun_at(job)
    if own is not None or begin is None:
        return own
    checkpoint = Checkpoint(Path(begin.folder), begin.step)
    if not is_whole(checkpoint.path):
        raise JobFailed(FailureCode.CHECKPOINT_UNUSABLE, _TORN, step=begin.step, run=begin.run_id)
    log(
        emit,
        "info",
        N_("Goes on from the checkpoint at step %(step)d of run %(run)d."),
        step=begin.step,
        run=begin.run_id,
    )
    return checkpoint


def begun_at(job: TrainInput) -> BeginAt | None:
    """The checkpoint of another run that this one goes on from, or keeps."""
    return job.begin if job.begin is not None and job.begin.how != "adapter" else None


def is_kept(job: TrainInput) -> bool:
    """Whether the run is to make a model of a checkpoint as it is, without a step."""
    return job.begin is not None and job.begin.how == "kept"


def is_of_another_run(checkpoint: Checkpoint | None, job: TrainInput) -> bool:
    """Whether a start that was found is not this run's own."""
    begin = begun_at(job)
    return checkpoint is not None and begin is not None and str(checkpoint.path) == begin.folder


def find_checkpoint(resume_from: str | None, emit: Emit) -> Checkpoint | None:
    """The newest checkpoint whose manifest verifies; torn ones are passed over and named in the log."""
    if resume_from is None:
        return None
    folder = Path(resume_from)
    found = newest_whole(folder)
    for torn in checkpoints_in(folder):
        if found is None or torn.step > found.step:
            passed_over = N_("The checkpoint at step %(step)d is not whole and is passed over.")
            log(emit, "warning", passed_over, step=torn.step)
    if found is None:
        log(emit, "warning", N_("There is no whole checkpoint to resume from: the run starts over."))
    else:
        log(emit, "info", N_("Resuming from the checkpoint at step %(step)d."), step=found.step)
    return found


def plan_before(job: TrainInput) -> TrainingPlan | None:
    """What was planned for the run whose checkpoint this one goes on from: its precision holds here too."""
    begin = begun_at(job)
    return kept_plan(str(Path(begin.folder).parents[2])) if begin else None


def plan_onward(
    before: TrainingPlan | None, start: Checkpoint | None, config: TrainingConfig, samples: int
) -> TrainingPlan | None:
    """The plan of a run that goes on: the same steps where nothing about them was changed; None where it has to be made."""
    if before is None or start is None:
        return None
    earlier = TrainingConfig.stored(start.fields()["identity"]["config"])
    if all(getattr(earlier, name) == getattr(config, name) for name in STEPS):
        return before
    steps = estimate_steps(samples, config).steps
    return TrainingPlan(steps=steps, wanted_steps=steps, precision=before.precision)


def take_adapter(model: Any, job: TrainInput, emit: Emit) -> None:
    """Let the fresh adapter be that of the run it begins from. Raises JobFailed where it has another shape."""
    begin = job.begin
    if begin is None or begin.how != "adapter":
        return
    state = load_state(Path(begin.folder) / ADAPTER_WEIGHTS)
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {name: value.shape for name, value in own.items()} != {
        name: value.shape for name, value in state.items()
    }:
        raise JobFailed(FailureCode.CHECKPOINT_UNUSABLE, _OTHER_ADAPTER, run=begin.run_id)
    set_peft_model_state_dict(model, state)
    log(
        emit,
        "info",
        N_(
            "Begins with the adapter of run %(run)d after its step %(step)d. Optimizer and learning rate begin anew: the rate "
            "warms up again."
        ),
        run=begin.run_id,
        step=begin.step,
    )
