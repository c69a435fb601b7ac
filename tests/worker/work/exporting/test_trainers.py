"""A run taken to another trainer: what its files say of the run, and that TRL, which is installed, trains the same from them."""

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from app.exports.work import ExportInput, ExportResult
from app.mask_settings.fields import MaskSettingsIn
from app.masking import Split
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from app.runs.result import RunResult, TrainingPlan
from app.runs.work import TrainInput
from tests.support.training import run_result
from tests.worker.conftest import PROVENANCE, SETTINGS, Recorder, random_samples, write_arrays_file
from worker.work.exporting import work
from worker.work.protocol import Control, JobFailed
from worker.work.training import sft
from worker.work.training.mixing import load_mixture, what_is_mixed

STEPS = 10


@pytest.fixture
def told(job_input: Callable[..., dict[str, Any]], small_model: Path, tmp_path: Path) -> dict[str, Any]:
    """What an export of a run over these arrays is told."""
    # Several epochs, each with a batch that is not full.
    values = job_input([24, 17, 31, 20, 26, 15, 22, 29, 18], max_steps=STEPS, warmup_steps=2)
    values["base_model_path"] = str(small_model)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    provenance = {**PROVENANCE, "arrays_hash": values["arrays_hash"]}
    (adapter / "sft_studio.json").write_text(json.dumps({"provenance": provenance}))
    return {
        "training": values,
        "adapter_path": str(adapter),
        "base_model_path": str(small_model),
        "arrays_path": values["arrays"],
        "version_file": "",
        "version_hash": "b" * 64,
        "end_of_turn_id": 2,
        "mask_settings": MaskSettingsIn(),
        "config": TrainingConfig.model_validate(values["config"]),
        "provenance": Provenance.stored(provenance),
        "result": RunResult.stored(run_result()),
    }


def export(told: dict[str, Any], kind: str, folder: Path, **choices: str) -> tuple[Path, ExportResult]:
    chosen = {"base_model": "hub", "otherwise": "refuse", **choices}
    fields = {name: value for name, value in told.items() if name != "training"}
    job = ExportInput(kind=kind, choices=chosen, **fields)
    result = work.run(job, folder, Recorder(), Control())
    return folder / result.folder, result


def english(result: ExportResult) -> str:
    return " ".join(note.sentence.english() for note in result.notes)


def test_trl_trains_the_same_losses_from_the_files_as_they_stand(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit = Recorder()
    sft.run(TrainInput.model_validate(told["training"]), tmp_path / "run", emit, Control())
    ours = {row["step"]: row["loss"] for row in emit.of("metric")}
    told["config"] = told["config"].model_copy(update={"save_steps": STEPS})
    folder, _result = export(told, "trl", tmp_path / "job", base_model="folder")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    runpy.run_path(str(folder / "train.py"), run_name="__main__")
    state = json.loads((folder / "output" / f"checkpoint-{STEPS}" / "trainer_state.json").read_text("utf-8"))
    theirs = {row["step"]: row["loss"] for row in state["log_history"] if "loss" in row}
    assert len(ours) == STEPS
    assert theirs == pytest.approx(ours, abs=0.005)
    assert (folder / "output" / "adapter_model.safetensors").is_file()


def test_files_name_what_the_run_was_trained_with(told: dict[str, Any], tmp_path: Path) -> None:
    told["result"] = told["result"].model_copy(
        update={
            "adapted": {"q_proj": 2, "v_proj": 2},
            "left_out": {"lm_head": 1},
            "plan": TrainingPlan(steps=4, wanted_steps=9, precision="bfloat16"),
        }
    )
    told["config"] = told["config"].model_copy(update={"lora_target_modules": "all-linear"})
    folder, result = export(told, "axolotl", tmp_path / "job")
    config = yaml.safe_load((folder / "config.yml").read_text("utf-8"))
    assert (config["base_model"], config["revision_of_model"]) == ("org/chat", "c" * 40)
    assert config["lora_target_modules"] == ["q_proj", "v_proj"]
    assert (config["max_steps"], config["bf16"]) == (4, "auto")
    assert "bfloat16 throughout" in english(result)
    readme = (folder / "README.md").read_text("utf-8")
    assert "python -m axolotl.cli.main train config.yml" in readme
    assert "4 steps" in readme
    assert all(
        note.sentence.english() in readme for note in result.notes if "bfloat16" in note.sentence.template
    )
    assert json.loads((folder / "sft_studio.json").read_text("utf-8"))["provenance"]["version"] == 1


def test_a_model_that_is_nowhere_else_is_named_by_its_folder(told: dict[str, Any], tmp_path: Path) -> None:
    sft_studio = Path(told["adapter_path"]) / "sft_studio.json"
    local = {**json.loads(sft_studio.read_text())["provenance"], "base_revision": None, "base_model": "mine"}
    sft_studio.write_text(json.dumps({"provenance": local}))
    folder, result = export(told, "llamafactory", tmp_path / "job")
    config = yaml.safe_load((folder / "train.yaml").read_text("utf-8"))
    assert config["model_name_or_path"] == told["base_model_path"]
    assert "named by its folder" in english(result)


def test_what_a_tool_cannot_do_is_refused_by_name_unless_it_is_to_be_left_out(
    told: dict[str, Any], tmp_path: Path
) -> None:
    told["config"] = told["config"].model_copy(update={"trainable_tokens": "end_of_turn"})
    with pytest.raises(JobFailed, match=r"LLaMA-Factory .* no option for trainable_tokens"):
        export(told, "llamafactory", tmp_path / "refused")
    assert not any((tmp_path / "refused").iterdir())
    _folder, result = export(told, "llamafactory", tmp_path / "job", otherwise="leave_out")
    assert "trainable_tokens is left out" in english(result)


@pytest.mark.parametrize("gone", [True, False])
def test_other_arrays_than_those_that_were_trained_are_refused(
    told: dict[str, Any], tmp_path: Path, gone: bool
) -> None:
    if gone:
        Path(told["arrays_path"]).unlink()
    else:
        other = {**PROVENANCE, "arrays_hash": "d" * 64}
        (Path(told["adapter_path"]) / "sft_studio.json").write_text(json.dumps({"provenance": other}))
    with pytest.raises(JobFailed, match="not here any more" if gone else "not the checked ones"):
        export(told, "trl", tmp_path / "job")
    shutil.rmtree(tmp_path / "job")


def test_a_mixed_run_takes_the_samples_of_both_datasets_along_in_the_order_that_it_had(
    told: dict[str, Any], tmp_path: Path
) -> None:
    # Other conversations, masked alike.
    other, domain = tmp_path / "general.safetensors", told["training"]
    digest = write_arrays_file(other, random_samples([21, 12, 33, 18, 27], seed=5), [0, 0, 0, 0, 1])
    numbers = load_file(other)
    numbers["conversation_ids"] = numbers["conversation_ids"] + 1000
    save_file(numbers, other, {"hash": digest, "settings": SETTINGS, "base_model": "smollm2"})
    domain["mixed_in"] = {"arrays": str(other), "arrays_hash": digest}
    job = TrainInput.model_validate(domain)
    mixture = load_mixture(job, Recorder())
    mix = {"dataset": "General", "version": 1, "version_hash": "e" * 64, "conversations": 4, "held_out": 1}
    mix |= {"arrays_hash": digest, "share": job.config.mix_share, "order": "mixed"}
    kept = {"provenance": {**PROVENANCE, "arrays_hash": domain["arrays_hash"], "mix": mix}}
    (Path(told["adapter_path"]) / "sft_studio.json").write_text(json.dumps(kept))
    told["mixed_in_path"] = str(other)
    told["result"] = told["result"].model_copy(update={"mix": what_is_mixed(mixture, job.config)})
    folder, _result = export(told, "trl", tmp_path / "job", base_model="folder")
    written = pyarrow.parquet.read_table(folder / "train.parquet").to_pydict()
    train = mixture.arrays.places(Split.TRAIN)
    assert written["input_ids"] == [mixture.arrays.sample(int(place))[0].tolist() for place in train]
    assert len(train) == 7 + 3
    # In an order of its own no tool trains them.
    told["result"].mix.order = "curriculum"
    with pytest.raises(JobFailed, match="mix_order"):
        export(told, "axolotl", tmp_path / "other", base_model="folder")
    without, noted = export(told, "axolotl", tmp_path / "third", base_model="folder", otherwise="leave_out")
    assert "mix_order is left out" in english(noted)
    assert (without / "config.yml").is_file()
