"""What another tool is given: the run in its own words, the checked arrays, and the base model as it lies here."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from app.exports.snippets import served_name
from app.interop.handing import HandedOver, HandedRun, Precision, Tool
from app.interop.launching import Launch
from app.interop.writing import hand_over
from app.jobs.events import Emit
from app.masking import MaskArrays, Split
from app.recipes.config import TrainingConfig
from app.runs.work import TrainInput
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed
from worker.work.training import sft
from worker.work.training.adapter import counted, targets
from worker.work.training.devices import weights_dtype
from worker.work.training.modules import linear_modules

_PRECISIONS: Final[dict[torch.dtype, Precision]] = {torch.bfloat16: "bfloat16", torch.float32: "float32"}


def precision_of(config: TrainingConfig, device: torch.device) -> torch.dtype:
    """As asked for; where the device decides, no tool computes in bf16 on a processor."""
    if config.bf16 == "auto":
        return torch.float32 if device.type == "cpu" else weights_dtype(device, None)
    return weights_dtype(device, config.bf16)


def empty_model(folder: Path) -> Any:
    """The base model without its weights, to be asked for its layers. Raises JobFailed where transformers knows none."""
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The base model at %(path)s cannot be loaded: %(detail)s"),
            path=str(folder),
            detail=next(iter(str(error).splitlines()), type(error).__name__)[:300],
        ) from error


def wanted_layers(model: Any, config: TrainingConfig, emit: Emit) -> tuple[str, ...] | None:
    """The names by which PEFT finds the layers that get an adapter in this run: their last parts, or whole dotted names where a layer
    without one, of a vision tower say, ends alike; None for every linear layer. Raises JobFailed for a name that no layer has."""
    layers = linear_modules(model)
    found, _parameters = targets(layers, config, emit)
    if isinstance(found, str):
        names = tuple(counted(layer.name for layer in layers if layer.left_out is None))
        return None if any("." in name for name in names) else names
    mine = {layer.name for layer in layers if any(f".{layer.name}".endswith(f".{name}") for name in found)}
    lasts = dict.fromkeys(name.rpartition(".")[2] for name in found)
    others = {layer.name.rpartition(".")[2] for layer in layers if layer.name not in mine}
    return tuple(found) if lasts.keys() & others else tuple(lasts)


def write_folder(
    tool: Tool,
    job: TrainInput,
    config: TrainingConfig,
    arrays: MaskArrays,
    model: Any,
    dtype: torch.dtype,
    launch: Launch | None,
    folder: Path,
    emit: Emit,
) -> HandedOver:
    """Fill `folder` with what the tool's command reads. Raises Invalid naming a field that it has no option for."""
    precision = _PRECISIONS[dtype]
    base = Path(job.base_model_path)
    if tool == "llamafactory":
        loaded_in = (
            precision if config.use_peft else "float32"
        )  # what is trained is kept so, and is to be rounded nowhere before
        base = _with_precision(base, folder.parent / sft.MODEL, loaded_in)
    folder.mkdir(parents=True)
    run = HandedRun(
        name=served_name(job.provenance),
        title=f"{job.provenance.run}: {job.provenance.dataset}, version {job.provenance.version}",
        config=config,
        model=str(base),
        samples=len(arrays.places(Split.TRAIN)),
        held_out=len(arrays.places(Split.VALIDATION)),
        longest=int((arrays.offsets[1:] - arrays.offsets[:-1]).max()),
        layers=wanted_layers(model, config, emit) if config.use_peft else None,
        precision=precision,
        end_of_turn_id=job.end_of_turn_id,
        launch=launch,
    )
    return hand_over(tool, run, arrays, folder, as_backend=True)


def _with_precision(base: Path, folder: Path, precision: Precision) -> Path:
    """The model's files with another word on its precision: LLaMA-Factory loads weights as config.json says."""
    folder.mkdir(parents=True)
    for path in base.iterdir():
        if path.name != "config.json":
            (folder / path.name).symlink_to(path.absolute())
    config = json.loads((base / "config.json").read_text("utf-8"))
    config.pop("torch_dtype", None)
    (folder / "config.json").write_text(json.dumps({**config, "dtype": precision}), "utf-8")
    return folder
