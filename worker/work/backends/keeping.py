"""What a tool trained as one of ours: loaded by PEFT or transformers, measured by the studio's own held-out loss, written as any other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from peft import PeftModel

from app.jobs.events import Emit, EventKind, Phase
from app.masking import Mixture, Split
from app.runs.result import RunResult, TrainingPlan
from app.runs.work import TrainInput
from app.sentences import N_, FailureCode
from worker.work.backends.comparison import Comparison
from worker.work.backends.events import Ended
from worker.work.backends.explaining import NO_ADAPTER, NO_MODEL
from worker.work.protocol import Control, JobFailed, log
from worker.work.training import sft
from worker.work.training.adapter import Reached, counted, tell, what_was_reached
from worker.work.training.data import ArraySamples, EpochLoader, on_device
from worker.work.training.devices import peak_memory_bytes
from worker.work.training.forward import PlainPass, ProvenPass
from worker.work.training.model import load_base_model
from worker.work.training.modules import linear_modules
from worker.work.training.trainer import require_finite, trained_tokens
from worker.work.training.weights import computing_in, train_every_weight

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_OTHER_LAYERS: Final = N_(
    "%(tool)s put the adapter on other layers than the studio would have: without one are %(names)s."
)


def keep(
    job: TrainInput,
    tool: str,
    versions: Sequence[str],
    found: Path,
    output_dir: Path,
    ended: Ended,
    comparison: Comparison,
    mixture: Mixture,
    *,
    requested: bool,
    dtype: torch.dtype,
    device: torch.device,
    emit: Emit,
    control: Control,
) -> RunResult:
    """Publish what the tool left in `found`. Raises JobFailed where that is no LoRA adapter of this base model, or no model of its kind."""
    emit(EventKind.PHASE, phase=Phase.EVALUATING)
    if job.config.use_peft:
        model, reached = load_adapter(job, tool, found, dtype, device, emit)
    else:
        model, reached = load_whole(job, tool, found, dtype, device), Reached({}, {})
    step = ended.best_step or ended.step
    require_finite(model, step)
    with computing_in(dtype, model, device):
        loss = held_out_loss(model, comparison, job, device, control)
        beside = held_out_loss(model, comparison, job, device, control, Split.MIXED_VALIDATION)
    if loss is not None and (beside is not None or step == ended.step != ended.measured_at):
        emit(EventKind.EVAL, step=step, eval_loss=loss, **({} if beside is None else {"mixed_loss": beside}))
    emit(EventKind.PHASE, phase=Phase.SAVING)
    early = not requested and ended.step < ended.total_steps
    result = RunResult(
        adapter=sft.ADAPTER if job.config.use_peft else sft.MODEL,
        adapter_step=step,
        steps=ended.step,
        total_steps=ended.total_steps,
        train_loss=ended.train_loss,
        eval_loss=loss,
        stopped_early=requested or early,
        stop_reason="requested" if requested else "no_improvement" if early else "finished",
        labels_hash=comparison.proof.labels_hash(mixture.arrays.hash),
        labels_seen=int(comparison.proof.seen.sum()),
        labels_total=len(comparison.proof.seen),
        peak_memory_bytes=ended.peak_memory_bytes or peak_memory_bytes(device),
        plan=TrainingPlan(
            steps=ended.total_steps,
            wanted_steps=ended.total_steps,
            precision=str(dtype).removeprefix("torch."),
        ),
        adapted=reached.adapted,
        left_out=reached.left_out,
        trained_by=f"{tool} {', '.join(versions)}",
        mix=sft.with_losses(mixture, job.config, {} if beside is None else {step: beside}, step),
    )
    sft.save(model, output_dir, job, job.config, result, mixture)
    return result


def load_whole(job: TrainInput, tool: str, found: Path, dtype: torch.dtype, device: torch.device) -> Any:
    """The model that the tool left, every weight of which may have been trained."""
    if not (found / "config.json").is_file() or not list(found.glob("model*.safetensors")):
        raise JobFailed(FailureCode.BACKEND_FAILED, NO_MODEL, tool=tool, detail=_what_is_in(found))
    try:
        model = load_base_model(found, job.config, device, dtype)
    except (JobFailed, RuntimeError) as error:
        detail = next(iter(str(error).splitlines()), type(error).__name__)[:300]
        raise JobFailed(FailureCode.BACKEND_FAILED, NO_MODEL, tool=tool, detail=detail) from error
    return train_every_weight(model).eval()


def _what_is_in(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.glob("*"))) or "–"


def load_adapter(
    job: TrainInput, tool: str, found: Path, dtype: torch.dtype, device: torch.device, emit: Emit
) -> tuple[Any, Reached]:
    """The base model with the tool's adapter on it, and the layers that it is on."""
    if not (found / _CONFIG).is_file() or not (found / _WEIGHTS).is_file():
        raise JobFailed(FailureCode.BACKEND_FAILED, NO_ADAPTER, tool=tool, detail=_what_is_in(found))
    base = load_base_model(Path(job.base_model_path), job.config, device, dtype)
    layers = linear_modules(base)
    try:
        model = PeftModel.from_pretrained(base, str(found), is_trainable=True)
    except (OSError, ValueError, RuntimeError) as error:
        detail = next(iter(str(error).splitlines()), type(error).__name__)[:300]
        raise JobFailed(FailureCode.BACKEND_FAILED, NO_ADAPTER, tool=tool, detail=detail) from error
    reached = what_was_reached(model, layers)
    tell(reached, emit)
    forgotten = [layer.name for layer in layers if layer.left_out is None]
    if job.config.lora_target_modules == "all-linear" and (
        missing := {name: n for name, n in counted(forgotten).items() if reached.adapted.get(name, 0) < n}
    ):
        log(emit, "warning", _OTHER_LAYERS, tool=tool, names=", ".join(missing))
    return model.eval(), reached


def held_out_loss(
    model: Any,
    comparison: Comparison,
    job: TrainInput,
    device: torch.device,
    control: Control,
    split: Split = Split.VALIDATION,
) -> float | None:
    """Mean cross-entropy over all trained tokens that are held out, as a run of the studio measures it."""
    samples = ArraySamples(comparison.arrays, split)
    loss_pass, total, count = ProvenPass(PlainPass(model), comparison.proof), 0.0, 0
    with torch.no_grad():
        for batch in EpochLoader(samples, job.config.per_device_eval_batch_size, None):
            control.raise_if_cancelled()
            total += float(loss_pass(on_device(batch, device)))
            count += trained_tokens(batch)
    return total / count if count else None
