"""The run for another trainer: what is known of it here in the words of `app/interop`, which writes the files."""

from pathlib import Path
from typing import Final, cast

from app.core.errors import Invalid
from app.core.stored_models import Told
from app.exports.card import PROVENANCE, provenance_document
from app.exports.snippets import served_name
from app.interop.handing import HandedRun, Precision, Tool
from app.interop.writing import hand_over
from app.jobs.events import Phase
from app.masking import MaskArrays, MaskingError, Mixture, Split, mix, read_arrays, unmixed
from app.recipes.mixing import CURRICULUM
from app.sentences import N_, FailureCode
from worker.work.exporting.task import ExportTask
from worker.work.protocol import JobFailed

# An id, a label and a byte that it counts, and as much again for what Parquet and Arrow add.
_BYTES_A_TOKEN: Final = 18


def hand_to(tool: Tool, task: ExportTask) -> None:
    """Fill the task's folder with what `tool` trains the run from."""
    arrays = _mixture(task).arrays
    task.require_space(_BYTES_A_TOKEN * len(arrays.input_ids))
    run = handed_run(tool, task, arrays)
    task.phase(Phase.WRITING)
    try:
        done = hand_over(
            tool, run, arrays, task.folder, leave_out=task.input.choices.get("otherwise") == "leave_out"
        )
    except Invalid as error:
        raise JobFailed.of(error) from error
    task.notes.extend(Told(sentence=note) for note in done.notes)
    task.write_text(
        PROVENANCE,
        provenance_document(task.provenance, task.input.config, task.input.result, task.input.scores),
    )


def _mixture(task: ExportTask) -> Mixture:
    """The very arrays that the run was trained on, mixed as they were. Raises JobFailed where they are gone or are others."""
    mixed, provenance = task.input.result.mix, task.provenance
    arrays = _arrays(task.input.arrays_path, provenance.arrays_hash)
    if mixed is None or provenance.mix is None:
        return unmixed(arrays)
    other = _arrays(task.input.mixed_in_path, provenance.mix.arrays_hash)
    try:
        return mix(arrays, other, share=provenance.mix.share, seed=mixed.seed)
    except MaskingError as error:
        raise JobFailed.of(error) from error


def _arrays(path: str | None, expected_hash: str) -> MaskArrays:
    if path is None or not Path(path).is_file():
        raise JobFailed(
            FailureCode.DATA_CHANGED,
            N_(
                "What this run was trained on is not here any more: conversations were erased from its version, or its mask "
                "check was removed. Check the masks of the version again, start a new run, and export that."
            ),
        )
    try:
        return read_arrays(path, expected_hash)
    except MaskingError as error:
        raise JobFailed.of(error) from error


def handed_run(tool: Tool, task: ExportTask, arrays: MaskArrays) -> HandedRun:
    """The run as `app/interop` knows one."""
    told, provenance = task.input, task.provenance
    plan = told.result.plan
    model, revision = provenance.base_model, provenance.base_revision
    # What came from a folder has no id elsewhere: no commit, and no word on what it is there.
    nowhere_else = not revision and not provenance.base_remark
    if nowhere_else or told.choices["base_model"] == "folder":
        model, revision = told.base_model_path, None
        task.note(
            N_(
                "The base model is named by its folder here, %(folder)s: elsewhere, give the folder it has there."
            ),
            folder=model,
        )
    elif provenance.base_remark:
        task.note(provenance.base_remark)
    return HandedRun(
        name=served_name(provenance),
        title=f"{provenance.run}: {provenance.dataset}, version {provenance.version}",
        config=told.config,
        model=model,
        revision=revision,
        samples=len(arrays.places(Split.TRAIN)),
        held_out=len(arrays.places(Split.VALIDATION)),
        longest=int((arrays.offsets[1:] - arrays.offsets[:-1]).max()),
        layers=_layers(task),
        precision=_precision(task),
        end_of_turn_id=told.end_of_turn_id,
        limit=plan.steps if plan and plan.steps != plan.wanted_steps else None,
        is_curriculum=bool(told.result.mix and told.result.mix.order == CURRICULUM),
        # Another tool is not started by it: one process takes the steps of all.
        launch=told.launch if tool == "trl" else None,
    )


def _layers(task: ExportTask) -> tuple[str, ...] | None:
    """By the names that every tool takes: last parts of dotted names, where those tell the layers apart."""
    wanted, result = task.input.config.lora_target_modules, task.input.result
    if isinstance(wanted, list):
        return tuple(wanted)
    names = tuple(result.adapted)
    told_apart = names and not any("." in name or name in result.left_out for name in names)
    return names if told_apart else None


def _precision(task: ExportTask) -> Precision:
    plan = task.input.result.plan
    if plan is not None:
        return cast(Precision, plan.precision)
    return "bfloat16" if task.input.config.bf16 is True else "float32"
