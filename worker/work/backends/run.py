"""A run that another tool trains, from checked arrays to an adapter that is kept as any other.

The story reads from top to bottom in `run`. The tool sees tokens and labels, never text; it begins only once its own
prepared data were found to be the checked ones.
"""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from app.core.errors import Invalid
from app.interop.ability import require_able
from app.interop.arguments import OUTPUT
from app.interop.environments import program_beside
from app.interop.handing import TOOL_NAMES, TOOL_VERSIONS, Tool, command_of
from app.interop.launching import MULTI_CPU, Launch, own_launch
from app.jobs.events import Emit, EventKind, Phase
from app.masking import Mixture, Split
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.runs.folder_names import WORKPLACE
from app.runs.result import RunResult
from app.runs.work import BackendPlace, TrainInput
from app.sentences import N_, FailureCode
from worker.work.backends.checkpoints import Record, newest_whole
from worker.work.backends.comparison import Comparison
from worker.work.backends.events import Ended, Listener
from worker.work.backends.explaining import ended_early, explain
from worker.work.backends.folder import empty_model, precision_of, write_folder
from worker.work.backends.keeping import keep
from worker.work.backends.tool_process import ToolProcess
from worker.work.protocol import Control, JobFailed, log
from worker.work.training import sft
from worker.work.training.data import ArraySamples
from worker.work.training.devices import training_device
from worker.work.training.mixing import load_mixture
from worker.work.training.process_group import require_room
from worker.work.training.refusals import check_samples, check_vocabulary, require_same_tokenizer

_POLL_SECONDS: Final = 0.2
FILES: Final = "files"
_NOWHERE: Final = N_("The job does not say where %(tool)s is: start the run again.")
_STARTS_OVER: Final = N_(
    "%(tool)s is started anew: the attempt before left no checkpoint of it that is known to be whole."
)
_GOES_ON: Final = N_(
    "%(tool)s goes on from its own checkpoint of step %(step)d, every file of which is as it was saved."
)
_OTHER_SINCE: Final = N_(
    "That checkpoint is of %(tool)s %(before)s, and %(version)s is installed now: the steps to come may differ from what the "
    "former would have made of them."
)
_STARTED: Final = N_(
    "%(tool)s %(version)s trains %(samples)d samples with %(tokens)d trained tokens, in %(precision)s."
)
_OTHER_VERSION: Final = N_(
    "%(tool)s %(version)s is another version than %(tried)s, with which it was tried. Its tokens are compared all the same."
)
_CANNOT_START: Final = N_("%(tool)s cannot be started by %(program)s: %(detail)s")
_SAID_NOTHING: Final = N_(
    "%(tool)s ended well without having trained anything that could be watched. The log has all that it printed."
)


def run(job: TrainInput, output_dir: Path, emit: Emit, control: Control) -> RunResult:
    """Let the tool train that the config names. Raises JobFailed with a sentence, Cancelled when told to drop it."""
    tool, place = job.config.backend, job.backend
    assert tool != STUDIO
    if place is None:
        raise JobFailed(FailureCode.JOB_MALFORMED, _NOWHERE, tool=TOOL_NAMES[tool])
    device = training_device()
    config = sft.with_available_optimizer(job.config, device, emit)
    launch = launch_of(job, on_cpu=device.type == "cpu")
    if launch is not None:
        require_room(launch.num_processes, torch.device("cpu") if launch.way == MULTI_CPU else device)
    try:
        require_able(
            config,
            tool,
            on_cpu=device.type == "cpu",
            end_of_turn_id=job.end_of_turn_id,
            launch=launch,
        )
    except Invalid as error:
        failed = JobFailed.of(error)
        failed.code = FailureCode.CONFIG_INVALID
        raise failed from error

    emit(EventKind.PHASE, phase=Phase.PREPARING_DATA)
    mixture = load_mixture(job, emit)
    arrays = mixture.arrays
    require_same_tokenizer(Path(job.base_model_path), job.tokenizer_hash)
    check_samples(ArraySamples(arrays, Split.TRAIN), ArraySamples(arrays, Split.VALIDATION), config)
    workplace = output_dir / WORKPLACE
    goes_on = False
    try:
        return _train_and_keep(job, tool, place, launch, config, mixture, workplace, device, emit, control)
    except JobFailed as failed:
        # Another attempt begins with the tool's checkpoints; the end of the job clears them away.
        goes_on = failed.again is not None
        raise
    finally:
        if not goes_on:
            shutil.rmtree(workplace, ignore_errors=True)


def _train_and_keep(
    job: TrainInput,
    tool: Tool,
    place: BackendPlace,
    launch: Launch | None,
    config: TrainingConfig,
    mixture: Mixture,
    workplace: Path,
    device: torch.device,
    emit: Emit,
    control: Control,
) -> RunResult:
    arrays, dtype = mixture.arrays, precision_of(config, device)
    model = empty_model(Path(job.base_model_path))
    check_vocabulary(arrays, model)
    handed = write_folder(tool, job, config, arrays, model, dtype, launch, workplace / FILES, emit)
    log(
        emit,
        "info",
        _STARTED,
        tool=TOOL_NAMES[tool],
        version=place.version,
        samples=handed.samples,
        tokens=handed.trained_tokens,
        precision=str(dtype).removeprefix("torch."),
    )
    if place.version != TOOL_VERSIONS[tool]:
        values = {"tool": TOOL_NAMES[tool], "version": place.version, "tried": TOOL_VERSIONS[tool]}
        log(emit, "warning", _OTHER_VERSION, **values)
    for note in handed.notes:
        log(emit, "info", note)
    control.raise_if_cancelled()
    emit(EventKind.PHASE, phase=Phase.LOADING_MODEL)
    comparison = Comparison(arrays, tool)
    begins = _begins(job, tool, emit)
    versions = _versions(begins, place, tool, emit)
    ended = train_there(
        tool, launch, Path(place.python), workplace / FILES, comparison, emit, control, begins, versions
    )
    return keep(
        job,
        TOOL_NAMES[tool],
        versions,
        workplace / FILES / OUTPUT,
        workplace.parent,
        ended,
        comparison,
        mixture,
        requested=control.stop_requested == "save" and ended.step < ended.total_steps,
        dtype=dtype,
        device=device,
        emit=emit,
        control=control,
    )


def _begins(job: TrainInput, tool: Tool, emit: Emit) -> Record | None:
    """The checkpoint that an earlier attempt left; said either way."""
    if job.resume_from is None:
        return None
    found = newest_whole(Path(job.resume_from))
    if found is None:
        log(emit, "warning", _STARTS_OVER, tool=TOOL_NAMES[tool])
    else:
        log(emit, "info", _GOES_ON, tool=TOOL_NAMES[tool], step=found.step)
    emit(EventKind.RESTORED, step=found.step if found else 0)
    return found


def _versions(begins: Record | None, place: BackendPlace, tool: Tool, emit: Emit) -> list[str]:
    """Of the tool, in the order in which they train this run: it may have been updated since the attempt before."""
    before = begins.versions if begins else []
    if before and before[-1] != place.version:
        log(emit, "warning", _OTHER_SINCE, tool=TOOL_NAMES[tool], before=before[-1], version=place.version)
    return list(dict.fromkeys([*before, place.version]))


def launch_of(job: TrainInput, *, on_cpu: bool) -> Launch | None:
    """What starts the tool's processes; None where it is one, which needs nothing to start it."""
    if job.launch is not None or job.config.num_processes == 1:
        return job.launch
    return own_launch(job.config.num_processes, on_cpu=on_cpu)


def train_there(
    tool: Tool,
    launch: Launch | None,
    python: Path,
    folder: Path,
    comparison: Comparison,
    emit: Emit,
    control: Control,
    begins: Record | None = None,
    versions: Sequence[str] = (),
) -> Ended:
    """Start the tool in `folder` and follow it to its end, from the checkpoint in `begins` where there is one. Whatever happens, nothing of
    it goes on running."""
    name = TOOL_NAMES[tool]
    # Of several processes each writes a part of a checkpoint, and none knows when the others have.
    recorded = folder.parent if launch is None else None
    listener = Listener(comparison, emit, recorded, begins, versions)
    try:
        command = shlex.split(command_of(tool, launch))
        devices, resume = launch.num_processes if launch else 1, begins.folder if begins else None
        process = ToolProcess(python, command, folder, devices, resume)
    except OSError as error:
        detail = error.strerror or type(error).__name__
        program = program_beside(python, command[0])
        raise JobFailed(
            FailureCode.BACKEND_FAILED, _CANNOT_START, tool=name, program=str(program), detail=detail
        ) from error
    with process:
        told_to_stop = False
        while (code := process.exit_code) is None:
            for told in process.messages(_POLL_SECONDS):
                listener.hear(told)
            control.raise_if_cancelled()
            if listener.ready:
                listener.ready = False
                process.send({"go": True})
            if control.stop_requested == "save" and not told_to_stop:
                process.send({"stop": True})
                told_to_stop = True
        for told in process.last_messages():
            listener.hear(told)
        if code != 0:
            raise explain(name, code, process.printed, for_memory=process.kills.one_came())
    if listener.ended is None and listener.step:
        raise ended_early(name, listener.step, listener.total_steps)
    if listener.ended is None:
        raise JobFailed(FailureCode.BACKEND_FAILED, _SAID_NOTHING, tool=name)
    return listener.ended
