"""What computes a run's steps is told of its pass, kept, and taken again by whoever repeats it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from app.runs.result import Pieces, TrainingPlan
from app.runs.work import TrainInput
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.doing import train
from tests.worker.work.training.small_models import SMALL, adapted, trial_of
from worker.work.protocol import Control
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.lora import unfuse_lora_layers
from worker.work.training.pieces import had_on, pieces_before, pieces_of
from worker.work.training.trial import choose_pass

JobInput = Callable[..., dict[str, Any]]
LENGTHS = [9, 14, 11]
PACKED = Pieces(device="cpu", rows="packed", adapter="studio")
ON_GPU = Pieces(device="cuda", rows="varlen", adapter="peft", liger=True)


def _chosen(emit: Recorder, kept: Pieces | None) -> PackedPass | PlainPass:
    model = adapted(LlamaConfig(**SMALL), packed=False)
    return choose_pass(model, trial_of(LENGTHS), torch.float32, emit, kept=kept)


def _told(emit: Recorder) -> list[str]:
    return [said(event) for event in emit.of("log")]


def test_pieces_are_looked_up_in_the_pass_that_was_chosen(emit: Recorder) -> None:
    chosen = _chosen(emit, None)
    assert pieces_of(chosen) == PACKED
    unfuse_lora_layers(chosen.model)
    assert pieces_of(chosen).adapter == "peft"
    whole = PlainPass(chosen.model.get_base_model())
    assert pieces_of(whole) == Pieces(device="cpu", rows="alone", adapter=None)
    vars(whole.model.model.norm)["forward"] = _from_liger
    assert pieces_of(whole).liger


def _from_liger() -> None: ...


_from_liger.__module__ = "liger_kernel.transformers.rms_norm"


def test_the_pass_that_was_kept_is_taken_though_a_quicker_one_could_be_had(emit: Recorder) -> None:
    kept = Pieces(device="cpu", rows="alone", adapter="studio")
    assert isinstance(_chosen(emit, kept), PlainPass)
    assert isinstance(_chosen(emit, PACKED), PackedPass)
    assert _told(emit) == []


def test_what_cannot_be_had_on_this_device_is_told(emit: Recorder) -> None:
    assert isinstance(_chosen(emit, ON_GPU), PackedPass)
    (told,) = _told(emit)
    assert "cuda, rows=varlen, adapter=peft, liger=true" in told
    assert "cpu, rows=packed, adapter=studio, liger=false, prefixes=each" in told
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert (had_on(cpu, ON_GPU), had_on(gpu, ON_GPU), had_on(gpu, None)) == (None, ON_GPU, None)


def test_an_earlier_attempt_counts_before_the_run_that_is_repeated(job_input: JobInput) -> None:
    job = TrainInput.stored({**job_input(), "pieces": ON_GPU.to_json()})
    plan = TrainingPlan(steps=1, wanted_steps=1, precision="float32", pieces=PACKED)
    assert pieces_before(job, None, None) == ON_GPU
    assert pieces_before(job, None, plan) == PACKED
    # Plans of earlier programs say nothing of them.
    assert pieces_before(job, plan.model_copy(update={"pieces": None}), plan) is None


@pytest.mark.model
def test_a_run_trains_with_the_pieces_of_the_one_that_it_repeats(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control
) -> None:
    kept = Pieces(device="cpu", rows="alone", adapter="studio")
    job = {**job_input(max_steps=1), "base_model_path": str(small_model), "pieces": kept.to_json()}
    found = train(job, tmp_path / "job" / "1", Recorder(), control)
    assert found["plan"]["pieces"] == kept.to_json()
    plan = json.loads((tmp_path / "job" / "1" / "plan.json").read_text("utf-8"))
    assert plan["pieces"] == kept.to_json()
