"""What is no number ends a run at its step, whether a loss, a gradient or a weight is none, and nothing of it is kept."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, TrainerControl, TrainerState

from app.masking.samples.arrays import read_arrays
from app.sentences import FailureCode
from tests.worker.conftest import Recorder
from tests.worker.work.doing import train
from worker.work.protocol import Control, JobFailed
from worker.work.training.callbacks import Progress
from worker.work.training.trainer import require_finite

JobInput = Callable[..., dict[str, Any]]


def break_row(folder: Path, token: int) -> Path:
    """What this token reads in the base model becomes no number; the layer that makes logits stays whole."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    model.get_input_embeddings().weight.data[token] = torch.nan
    broken = folder / "broken"
    model.save_pretrained(broken)
    return broken


def test_a_loss_that_is_no_number_ends_the_run_at_its_step_whichever_are_logged(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = job_input(max_steps=4, logging_steps=50, save_steps=1, validation=0)
    # Neither of the shortest conversations nor the longest, on which the passes are tried.
    token = int(read_arrays(Path(job["arrays"])).sample(0)[0][3])
    job["base_model_path"] = str(break_row(small_model, token))
    with pytest.raises(JobFailed, match=r"stopped being a number at step [1-4]") as failed:
        train(job, tmp_path / "out", emit, control)
    assert failed.value.code == FailureCode.NOT_A_NUMBER
    last = emit.of("metric")[-1]["step"]
    assert failed.value.sentence.values["step"] == last == emit.of("progress")[-1]["step"]
    assert not (tmp_path / "out" / "adapter").exists()
    assert last not in [event["step"] for event in emit.of("checkpoint")]


def test_a_held_out_loss_that_is_no_number_ends_the_run(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = job_input(validation=2)
    token = int(read_arrays(Path(job["arrays"])).sample(7)[0][3])
    job["base_model_path"] = str(break_row(small_model, token))
    # Before the first step it is the base model's own: no other learning rate would help.
    with pytest.raises(JobFailed, match="base model's own loss") as failed:
        train(job, tmp_path / "out", emit, control)
    assert failed.value.code == FailureCode.MODEL_UNUSABLE


def test_a_gradient_that_overflows_ends_the_run_though_each_loss_is_a_number(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    model = AutoModelForCausalLM.from_pretrained(small_model, dtype=torch.float32)
    last = model.model.layers[-1].self_attn
    for layer in (last.q_proj, last.k_proj):
        layer.weight.data.mul_(1e18)
    model.save_pretrained(tmp_path / "steep")
    job = job_input(max_steps=4, logging_steps=50, save_steps=1, validation=0)
    job["base_model_path"] = str(tmp_path / "steep")
    with pytest.raises(JobFailed, match="base model's own loss on a conversation, or its gradient") as failed:
        train(job, tmp_path / "out", emit, control)
    assert failed.value.code == FailureCode.MODEL_UNUSABLE
    assert math.isfinite(emit.of("metric")[-1]["loss"])
    assert not emit.of("checkpoint")
    assert not (tmp_path / "out" / "adapter").exists()


def test_a_later_gradient_that_is_no_number_is_told_with_its_step(emit: Recorder) -> None:
    progress = Progress(emit, torch.device("cpu"))
    progress.saw_gradient(torch.tensor(3.0))
    progress.saw_gradient(math.inf)
    state, control = TrainerState(global_step=7, epoch=0.5, max_steps=10), TrainerControl()
    progress.on_step_end(None, state, control)
    assert (control.should_log, control.should_save) == (True, False)
    with pytest.raises(JobFailed, match="gradient is no number at step 7") as failed:
        progress.on_log(None, state, control, logs={"loss": 2.0})
    assert failed.value.code == FailureCode.NOT_A_NUMBER


def test_an_adapter_that_holds_what_is_no_number_is_not_written() -> None:
    model = torch.nn.Linear(3, 3)
    require_finite(model, 5)
    model.bias.data[1] = torch.inf
    with pytest.raises(JobFailed, match=r"after step 5 \(bias\)"):
        require_finite(model, 5)


def test_a_loss_that_is_no_number_ends_the_run_after_telling_it(emit: Recorder) -> None:
    state = TrainerState(global_step=7, epoch=0.5, max_steps=10)
    with pytest.raises(JobFailed, match="step 7"):
        Progress(emit, torch.device("cpu")).on_log(None, state, TrainerControl(), logs={"loss": math.nan})
    assert emit.of("metric")[0]["step"] == 7
