"""Training for a few steps, the real small model and smaller ones: what is learnt, told, stopped, saved and resumed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForCausalLM

from app.masking.samples.arrays import read_arrays
from tests.support import small_runs
from tests.support.said import said
from tests.worker.conftest import IGNORE_INDEX, Recorder
from tests.worker.work.doing import prepare, train
from worker.work.evaluation.loading import load_base, require_tuned
from worker.work.protocol import Cancelled, Control, JobFailed
from worker.work.training import data
from worker.work.training.callbacks import FirstGradients

JobInput = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.model


def of_dialogues(folder: Path, **config: Any) -> dict[str, Any]:
    """The input of a train job of a tiny model that writes English: its loss is far below a guess, so harm to it is seen."""
    exchanges = small_runs.exchanges()
    quick = {
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "lora_dropout": 0.0,
        "warmup_ratio": 0.0,
    }
    return small_runs.job(folder, training=exchanges[:6], held_out=exchanges[6:8], **{**quick, **config})


def plain_loss(model: Any, arrays_path: str, split: int) -> float:
    """Mean cross-entropy over all trained tokens of a split, a conversation at a time, without our code."""
    arrays = read_arrays(Path(arrays_path))
    total, count = 0.0, 0
    for index in (arrays.split == split).nonzero()[0]:
        ids, labels = (torch.tensor(part.astype("int64")) for part in arrays.sample(int(index)))
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0, :-1].float()
        total += float(
            functional.cross_entropy(logits, labels[1:], ignore_index=IGNORE_INDEX, reduction="sum")
        )
        count += int((labels[1:] != IGNORE_INDEX).sum())
    return total / count


def load_plain(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def losses(emit: Recorder) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in emit.of("metric")}


def test_a_run_tells_what_it_does_and_its_numbers_are_the_plain_models(
    job_input: JobInput, base_model_folder: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    # Three uneven batches are one step, so the first loss covers the whole training split.
    job = job_input(gradient_accumulation_steps=3, max_steps=2)
    result = train(job, tmp_path / "out", emit, control)

    base = load_plain(base_model_folder)
    assert losses(emit)[1] == pytest.approx(plain_loss(base, job["arrays"], 0), rel=1e-4)
    assert emit.of("eval")[0] == {
        "event": "eval",
        "step": 0,
        "eval_loss": pytest.approx(plain_loss(base, job["arrays"], 1), rel=1e-4),
    }
    assert losses(emit)[2] < losses(emit)[1]
    # The adapter is read by PEFT alone, and it is what was measured at the end.
    tuned = PeftModel.from_pretrained(base, tmp_path / "out" / result["adapter"])
    assert result["eval_loss"] == pytest.approx(plain_loss(tuned, job["arrays"], 1), rel=1e-4)
    assert result["eval_loss"] < emit.of("eval")[0]["eval_loss"]

    assert result["labels_hash"] == job["arrays_hash"]
    assert (result["steps"], result["stopped_early"], result["labels_seen"]) == (2, False, 8)
    assert [event["step"] for event in emit.of("progress")] == [1, 2]
    assert emit.of("progress")[-1]["eta_seconds"] == 0
    metric = emit.of("metric")[-1]
    assert metric["tokens_per_second"] > 0
    assert metric["memory_bytes"] > 100_000_000
    assert metric["grad_norm"] > 0
    phases = [event["phase"] for event in emit.of("phase")]
    assert list(dict.fromkeys(phases)) == [
        "preparing_data",
        "loading_model",
        "training",
        "evaluating",
        "saving",
    ]
    assert Path(emit.of("checkpoint")[-1]["path"]).is_dir()


@pytest.mark.parametrize(
    ("save_steps", "threads", "changes"),
    [
        (2, 1, {}),
        (3, 1, {}),
        (2, 2, {}),
        (1, 2, {"gradient_accumulation_steps": 2}),
        (2, 1, {"use_dora": True}),
        (2, 1, {"use_peft": False}),
    ],
    ids=[
        "inside an epoch",
        "between epochs",
        "in two lanes",
        "in two lanes, of batches added up",
        "with DoRA",
        "of every weight",
    ],
)
def test_an_interrupted_run_gives_the_losses_of_an_uninterrupted_one(
    job_input: JobInput,
    small_model: Path,
    tmp_path: Path,
    control: Control,
    save_steps: int,
    threads: int,
    changes: dict[str, Any],
) -> None:
    torch.set_num_threads(threads)
    job = job_input(
        base=small_model,
        max_steps=5,
        save_steps=save_steps,
        eval_steps=2,
        lora_dropout=0.1,
        early_stopping_patience=9,
        **changes,
    )
    whole, resumed = Recorder(), Recorder()
    expected = train(job, tmp_path / "whole", whole, control)
    torch.set_num_threads(threads)  # lanes leave fewer to the thread between them
    for checkpoint in (tmp_path / "whole" / "checkpoints").iterdir():
        if checkpoint.name != f"checkpoint-{save_steps}":
            # Torn, not gone: what a kill leaves behind.
            (checkpoint / "training_state.safetensors").write_bytes(b"half")
    job["resume_from"] = str(tmp_path / "whole")
    found = train(job, tmp_path / "resumed", resumed, control)

    assert losses(resumed) == {step: loss for step, loss in losses(whole).items() if step > save_steps}
    after = [event for event in whole.of("eval") if event["step"] > save_steps]
    assert resumed.of("eval") == after
    same = ("steps", "eval_loss", "labels_hash", "labels_seen", "adapter_step")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}
    kept = [
        load_file(next((tmp_path / run / expected["adapter"]).glob("*model.safetensors")))
        for run in ("whole", "resumed")
    ]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert any("not whole" in said(event) for event in resumed.of("log"))


def test_a_full_fine_tune_leaves_a_model_that_transformers_alone_loads_and_that_was_what_was_measured(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = job_input(
        base=small_model,
        use_peft=False,
        max_steps=4,
        eval_steps=1,
        learning_rate=0.01,
        early_stopping_patience=9,
    )
    result = train(job, tmp_path / "out", emit, control)
    base, tuned = load_plain(small_model), load_plain(tmp_path / "out" / "model")
    assert losses(emit)[1] > 0
    assert emit.of("eval")[0]["eval_loss"] == pytest.approx(plain_loss(base, job["arrays"], 1), rel=1e-4)
    assert result["eval_loss"] == pytest.approx(plain_loss(tuned, job["arrays"], 1), rel=1e-4)
    assert result["eval_loss"] == min(event["eval_loss"] for event in emit.of("eval")[1:])
    assert all(
        not torch.equal(own, other) for own, other in zip(base.parameters(), tuned.parameters(), strict=True)
    )
    written = json.loads((tmp_path / "out/model/config.json").read_text())
    assert (written["dtype"], written.get("use_cache", True)) == ("float32", True)
    card = (tmp_path / "out/model/README.md").read_text()
    assert "A full fine-tune of `org/chat`" in card
    assert "peft" not in card

    # Loaded as a run's result is: beside its base model, and asked in its place.
    loaded = load_base(small_model)
    loaded.use(require_tuned(tmp_path / "out" / "model"))
    with loaded.side("tuned") as own, loaded.side("base") as other:
        assert plain_loss(own, job["arrays"], 1) == pytest.approx(result["eval_loss"], rel=2e-2)
        assert plain_loss(other, job["arrays"], 1) > plain_loss(own, job["arrays"], 1)

    # Made a base model, another run begins where this one ended.
    made = prepare({"source": "local", "reference": str(tmp_path / "out" / "model")}, tmp_path, emit, control)
    onward = Recorder()
    train({**job_input(max_steps=1), "base_model_path": made["path"]}, tmp_path / "next", onward, control)
    assert onward.of("eval")[0]["eval_loss"] == pytest.approx(result["eval_loss"], rel=1e-4)


def test_a_full_fine_tune_computes_in_bf16_on_weights_in_fp32(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = job_input(
        base=small_model,
        use_peft=False,
        bf16=True,
        max_steps=1,
        validation=0,
        gradient_accumulation_steps=4,
    )
    result = train(job, tmp_path / "out", emit, control)
    assert result["plan"]["precision"] == "bfloat16"
    assert losses(emit)[1] == pytest.approx(plain_loss(load_plain(small_model), job["arrays"], 0), rel=1e-2)
    weights = load_file(tmp_path / "out/model/model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_checkpoint_of_another_configuration_is_refused_and_none_at_all_starts_over(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = job_input(base=small_model, max_steps=1)
    train(job, tmp_path / "first", emit, control)
    other = {**job, "config": {**job["config"], "seed": 7}, "resume_from": str(tmp_path / "first")}
    with pytest.raises(JobFailed, match="start a new run"):
        train(other, tmp_path / "second", emit, control)
    shutil.rmtree(tmp_path / "first" / "checkpoints")
    assert (
        train({**other, "resume_from": str(tmp_path / "first")}, tmp_path / "third", emit, control)["steps"]
        == 1
    )
    assert any("starts over" in said(event) for event in emit.of("log"))


class StopAfter(Recorder):
    """Asks to stop when the first step has been told."""

    def __init__(self, control: Control, stop: Any) -> None:
        super().__init__()
        self.control, self.stop = control, stop

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event == "progress":
            self.control.request_stop(self.stop)


def test_a_cancelled_run_ends_within_the_step_and_keeps_nothing(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control
) -> None:
    emit = StopAfter(control, "cancel")
    with pytest.raises(Cancelled):
        train(job_input(base=small_model, max_steps=50), tmp_path / "out", emit, control)
    assert len(emit.of("progress")) == 1
    assert not (tmp_path / "out" / "adapter").exists()


def test_stop_and_save_ends_at_the_step_with_an_adapter(tmp_path: Path, control: Control) -> None:
    emit = StopAfter(control, "save")
    job = of_dialogues(tmp_path, max_steps=50, lora_r=4)
    result = train(job, tmp_path / "out", emit, control)
    assert (result["steps"], result["stopped_early"], result["stop_reason"]) == (1, True, "requested")
    # A run that somebody ended is judged like any other.
    tuned = PeftModel.from_pretrained(load_plain(small_runs.base_folder()), tmp_path / "out" / "adapter")
    assert result["eval_loss"] == pytest.approx(plain_loss(tuned, job["arrays"], 1), rel=1e-4)
    config = json.loads((tmp_path / "out/adapter/adapter_config.json").read_text())
    assert (config["r"], config["peft_type"]) == (4, "LORA")


def test_early_stopping_counts_evaluations_without_a_new_best_and_keeps_the_best_adapter(
    tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = of_dialogues(
        tmp_path, max_steps=60, eval_steps=1, learning_rate=0.01, early_stopping_patience=2, save_steps=50
    )
    result = train(job, tmp_path / "out", emit, control)
    measured = {event["step"]: event["eval_loss"] for event in emit.of("eval")}
    best = min(loss for step, loss in measured.items() if step > 0)
    assert result["stop_reason"] == "no_improvement"
    assert result["steps"] < 60
    assert all(loss >= min(measured.values()) for loss in list(measured.values())[-2:])
    assert result["eval_loss"] == best
    assert measured[result["adapter_step"]] == best
    tuned = PeftModel.from_pretrained(load_plain(small_runs.base_folder()), tmp_path / "out" / "adapter")
    assert plain_loss(tuned, job["arrays"], 1) == pytest.approx(best, rel=1e-4)


def test_labels_that_something_changed_on_their_way_to_the_loss_stop_the_run(
    job_input: JobInput,
    small_model: Path,
    tmp_path: Path,
    emit: Recorder,
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = data.pack

    def mask_one_more(samples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = honest(samples)
        batch["labels"][0, -1] = IGNORE_INDEX
        return batch

    monkeypatch.setattr(data, "pack", mask_one_more)
    with pytest.raises(JobFailed, match="differ from the checked masks"):
        train(job_input(base=small_model, validation=0), tmp_path / "out", emit, control)
    assert not emit.of("progress")


def test_what_is_wrong_with_the_job_is_said_before_the_model_is_loaded(
    job_input: JobInput, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    job = job_input()
    for change, words in (
        ({"config": {"learning_rat": 1}}, "learning_rat "),
        ({"config": {"lora_r": 4096}}, "lora_r must be at most 1024."),
        ({"arrays_hash": "0" * 64}, "hash"),
        ({"arrays": str(tmp_path / "none")}, "none"),
    ):
        with pytest.raises(JobFailed, match=words):
            train({**job, **change}, tmp_path / "out", emit, control)
    with pytest.raises(JobFailed, match="validation split"):
        train(job_input(validation=0, early_stopping_patience=1), tmp_path / "out", emit, control)
    with pytest.raises(JobFailed, match="no trained token"):
        train(job_input(validation=8), tmp_path / "out", emit, control)
    assert "loading_model" not in [event["phase"] for event in emit.of("phase")]


def test_a_base_model_that_does_not_fit_is_one_sentence(
    job_input: JobInput, small_model: Path, tmp_path: Path, emit: Recorder, control: Control
) -> None:
    with pytest.raises(JobFailed, match="Prepare the base model again"):
        train({**job_input(), "base_model_path": str(tmp_path)}, tmp_path / "out", emit, control)
    with pytest.raises(JobFailed, match="target_modules"):
        train(
            job_input(base=small_model, lora_target_modules=["no_such_layer"]),
            tmp_path / "out",
            emit,
            control,
        )


@pytest.mark.parametrize(
    "options",
    [{"bf16": True}, {"bf16": False, "gradient_checkpointing": True, "lora_dropout": 0.05}],
    ids=["bf16", "recomputing activations"],
)
def test_precision_and_recomputation_change_the_loss_by_rounding_only(
    tmp_path: Path, emit: Recorder, control: Control, options: Any
) -> None:
    job = of_dialogues(tmp_path, gradient_accumulation_steps=3, max_steps=1, **options)
    train(job, tmp_path / "out", emit, control)
    expected = plain_loss(load_plain(small_runs.base_folder()), job["arrays"], 0)
    assert losses(emit)[1] == pytest.approx(expected, rel=1e-2)


def test_qlora_trains_on_four_bit_weights(tmp_path: Path, emit: Recorder, control: Control) -> None:
    options = {"load_in_4bit": True, "bf16": "auto", "optim": "paged_adamw_8bit", "learning_rate": 1e-3}
    job = of_dialogues(tmp_path, max_steps=9, lora_target_modules=["q_proj", "v_proj"], **options)
    base = load_plain(small_runs.base_folder())
    train(job, tmp_path / "out", emit, control)
    start = emit.of("eval")[0]["eval_loss"]
    # Rounding weights to 4 bits moves the loss, but not far.
    assert start == pytest.approx(plain_loss(base, job["arrays"], 1), rel=0.1)
    assert start != pytest.approx(plain_loss(base, job["arrays"], 1), rel=1e-5)
    # Training lowers it: the second and the third pass have the same three batches, in another order.
    passes = [sorted(losses(emit)[step] for step in range(first, first + 3)) for first in (4, 7)]
    assert all(later < earlier for earlier, later in zip(*passes, strict=True)), passes
    # Where there is one, this is the paged optimizer itself.
    assert any("needs a GPU" in said(event) for event in emit.of("log")) != torch.cuda.is_available()
    assert not any("No gradient" in said(event) for event in emit.of("log"))
    PeftModel.from_pretrained(base, tmp_path / "out" / "adapter")


def test_an_adapter_that_the_loss_does_not_reach_is_told(emit: Recorder) -> None:
    model = torch.nn.ModuleDict(
        {"lora_B": torch.nn.Linear(2, 2, bias=False), "other_lora_B": torch.nn.Linear(2, 2)}
    )
    model["lora_B"].weight.grad = torch.ones(2, 2)
    FirstGradients(emit).on_pre_optimizer_step(None, None, None, model=model)
    values = emit.of("log")[0]["sentence"]["values"]
    assert (values["silent"], values["count"], "other_lora_B" in values["names"]) == (2, 3, True)
    model["lora_B"].weight.grad.zero_()
    with pytest.raises(JobFailed, match="No gradient reaches the adapter"):
        FirstGradients(emit).on_pre_optimizer_step(None, None, None, model=model)
