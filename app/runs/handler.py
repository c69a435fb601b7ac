"""The job that trains: exactly the arrays of the confirmed check, into an adapter."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sqlmodel import Session

from app.base_models.models import ModelEntry
from app.base_models.service import known_elsewhere, require_ready
from app.core.errors import Conflict
from app.core.storage import StoredFile
from app.datasets.models import Dataset
from app.interop.ability import require_installed
from app.interop.environments import find_environment, setting_of
from app.interop.handing import TOOL_NAMES
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.models import JobState, StopRequest
from app.jobs.service import Claim, require_job
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import require_mask_check
from app.recipes.backend import STUDIO
from app.runs.artifacts import publish_artifacts
from app.runs.beginning import BeginAt
from app.runs.checkpoints import checkpoint_folder
from app.runs.folder_names import TENSORBOARD
from app.runs.leftovers import clear_leftovers
from app.runs.mixing import data_of, provenance_of_mix
from app.runs.models import Run
from app.runs.preflight.documents import AcceptedWarning
from app.runs.provenance import DataProvenance, EarlierRun, Provenance
from app.runs.result import RunResult
from app.runs.service import adapter_path, require_run
from app.runs.tracking import begin_tracking
from app.runs.work import BackendPlace, MixedIn, TrainInput, TrainPayload
from app.sentences import N_
from app.versions.service import require_version

_CHANGED: Final = N_("The mask check changed after this run was confirmed. Start a new run.")


class Train(JobHandler[RunResult]):
    """Hands the child the arrays by path and hash, and publishes the adapter.

    `follow_up` queues what comes after a success; runs do not know evaluations.
    """

    result_model = RunResult

    def __init__(self, follow_up: Callable[[Session, Run], None]) -> None:
        self.follow_up = follow_up

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> TrainInput:
        """Arrays, model and config; refuses when the check changed since the run was confirmed."""
        run = require_run(session, claim.asked(TrainPayload).run_id)
        check = require_mask_check(session, run.mask_check_id)
        model, folder = require_ready(session, run.base_model_id)
        if check.arrays_hash != run.arrays_hash or check.arrays_key is None:
            raise Conflict(_CHANGED)
        begin_tracking(session, run.id or 0, place.settings)
        return TrainInput(
            arrays=str(place.storage.path(check.arrays_key)),
            arrays_hash=run.arrays_hash,
            # Checks made before these were kept have none.
            arrays_file_hash=check.report.file_hash if check.report else None,
            mixed_in=_mixed_in(session, place, run),
            tokenizer_hash=check.report.tokenizer_hash if check.report else None,
            base_model_path=str(folder),
            end_of_turn_id=model.info.end_of_turn_id,
            config=run.config,
            provenance=provenance_of(session, run, check, model),
            backend=_backend_place(place, run),
            launch=run.launch,
            # Earlier attempts lie beside this one; the child resumes from their newest complete checkpoint.
            resume_from=str(place.output_dir.parent) if claim.attempt > 1 else None,
            begin=_begin_at(session, place, run),
            pieces=run.pieces,
            save_at_once=require_job(session, claim.job_id).stop_requested is StopRequest.SAVE,
        )

    def look_at_files(self, place: Workplace, result: RunResult) -> list[StoredFile]:
        """Every file of the adapter, and TensorBoard's event files."""
        curves = place.storage.files(f"{place.output_key}/{TENSORBOARD}")
        named = [replace(file, name=f"{TENSORBOARD}/{file.name}") for file in curves]
        return [*place.storage.files(_adapter_key(place, result)), *named]

    def clear_up(self, place: Workplace, state: JobState) -> None:
        """Of the checkpoints stay those that the config keeps."""
        clear_leftovers(place.output_dir.parent)

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: RunResult,
        files: Sequence[StoredFile],
    ) -> None:
        """The adapter becomes the run's; suites asked for at the start are queued."""
        run = require_run(session, claim.asked(TrainPayload).run_id)
        run.result = result
        run.adapter_key = _adapter_key(place, result)
        session.add(run)
        publish_artifacts(session, run, files)
        self.follow_up(session, run)


def _mixed_in(session: Session, place: Workplace, run: Run) -> MixedIn | None:
    if run.mix_check_id is None:
        return None
    check = require_mask_check(session, run.mix_check_id)
    if check.arrays_hash != run.mix_arrays_hash or check.arrays_key is None:
        raise Conflict(_CHANGED)
    return MixedIn(
        arrays=str(place.storage.path(check.arrays_key)),
        arrays_hash=check.arrays_hash or "",
        arrays_file_hash=check.report.file_hash if check.report else None,
    )


def _begin_at(session: Session, place: Workplace, run: Run) -> BeginAt | None:
    """What it begins from. Raises Conflict, or NotFound, where that is gone."""
    begins = run.begins
    if begins is None:
        return None
    parent = require_run(session, begins.run_id)
    if begins.how == "adapter":
        folder = adapter_path(place.storage, parent)
    else:
        folder = checkpoint_folder(place.storage, parent.job_id, begins.step)
    return BeginAt(how=begins.how, run_id=begins.run_id, step=begins.step, folder=str(folder))


def _backend_place(place: Workplace, run: Run) -> BackendPlace | None:
    """Where the program is on this machine. Raises Conflict where it is not, Invalid where it lacks what it is started with."""
    tool = run.config.backend
    if tool == STUDIO:
        return None
    found = find_environment(place.settings, tool)
    if found is None:
        raise Conflict(
            N_(
                "%(tool)s is not found where this worker runs: name its environment there in %(setting)s and start a new run, "
                "or set backend to studio."
            ),
            tool=TOOL_NAMES[tool],
            setting=setting_of(tool),
        )
    found.require_program()
    if run.launch is not None:
        require_installed(run.launch, tool, has_deepspeed=found.has_deepspeed)
    return BackendPlace(python=str(found.python), version=found.version)


def provenance_of(session: Session, run: Run, check: MaskCheck, model: ModelEntry) -> Provenance:
    """What a run is made of, as it is now: of a version that was redacted since, the hash of what is left."""
    base, revision, remark = known_elsewhere(model)
    return Provenance(
        **dict(_data_of(session, run)),
        run=run.name,
        run_id=run.id,
        recipe=run.recipe,
        begins=run.begins,
        earlier=_earlier(session, run),
        recipe_version=run.recipe_version,
        base_model=base,
        base_revision=revision,
        base_licence=model.info.licence,
        base_remark=remark,
        mix=provenance_of_mix(session, run),
        mask=check.settings,
        accepted_warnings=[
            AcceptedWarning(name=one.name, sentence=one.sentence)
            for one in (run.preflight.accepted if run.preflight else ())
        ],
    )


def _data_of(session: Session, run: Run) -> DataProvenance:
    version = require_version(session, run.dataset_version_id)
    return data_of(session.get_one(Dataset, version.dataset_id), version, run.arrays_hash)


def _earlier(session: Session, run: Run) -> list[EarlierRun]:
    """Whose adapters were trained further until this one; a run that goes on from a checkpoint trains the same data."""
    found: list[EarlierRun] = []
    while run.begins is not None:
        parent = require_run(session, run.begins.run_id)
        if run.begins.how == "adapter":
            found.append(
                EarlierRun(
                    **dict(_data_of(session, parent)),
                    run_id=run.begins.run_id,
                    run=parent.name,
                    mix=provenance_of_mix(session, parent),
                )
            )
        run = parent
    return found


def _adapter_key(place: Workplace, result: RunResult) -> str:
    return f"{place.output_key}/{result.adapter}"
