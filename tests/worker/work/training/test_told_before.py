"""What is told of a run before it starts, beside what the run then takes: steps, tokens and trained tokens."""

import math
from pathlib import Path
from typing import Any

import pytest

from app.mask_checks.models import MaskCheck
from app.mask_checks.report import SplitAmount
from app.masking import Split, read_arrays, unmixed
from app.recipes.config import TrainingConfig
from app.recipes.estimates import Estimate
from app.runs.fitting import Fitted
from app.runs.mixing import Beside
from app.runs.planning import Choice, Plan, plan_of
from app.runs.result import RunResult
from app.versions.models import DatasetVersion
from tests.support import small_runs
from tests.support.training import report
from tests.support.two_processes import StoppingAt
from tests.worker.conftest import Recorder
from tests.worker.work import doing
from tests.worker.work.training.test_mixing import job as mixed_job
from worker.work.protocol import Cancelled, Control

# Eleven uneven samples: five batches of two and one of one.
SAMPLES, HELD_OUT = small_runs.exchanges()[:11], small_runs.exchanges()[11:13]
TINY: dict[str, Any] = {"per_device_train_batch_size": 2, "lora_dropout": 0.0, "num_train_epochs": 2}


def checked(arrays: str) -> tuple[DatasetVersion, MaskCheck]:
    """A version and its check, as whoever asks for a plan has them."""
    read = read_arrays(arrays)
    amount = unmixed(read).amount(mixed=False)
    trained, held = amount.conversations, len(read.places(Split.VALIDATION))
    version = DatasetVersion(
        dataset_id=1,
        number=1,
        content_hash="",
        storage_key="",
        train_count=trained + 1,  # one that gives no sample
        validation_count=held,
    )
    told = report().model_copy(update={"to_train": SplitAmount(**vars(amount))})
    return version, MaskCheck(report=told)


def told_before(job: dict[str, Any]) -> tuple[Plan, Estimate]:
    """The plan of what the job's child is asked for."""
    version, check = checked(job["arrays"])
    beside = Beside(*checked(job["mixed_in"]["arrays"])) if "mixed_in" in job else None
    config = TrainingConfig(**job["config"])
    plan = plan_of(Fitted(config), Choice("standard", {}), version, check, None, None, beside)
    assert plan.estimate is not None
    return plan, plan.estimate


def trained(job: dict[str, Any], folder: Path, told: Recorder | None = None) -> RunResult:
    control = told.control if isinstance(told, StoppingAt) else Control()
    return RunResult.stored(doing.train(job, folder, told or Recorder(), control))


def small_job(folder: Path, **config: Any) -> dict[str, Any]:
    return small_runs.job(folder, training=SAMPLES, held_out=HELD_OUT, **{**TINY, **config})


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"gradient_accumulation_steps": 4},
        {"gradient_accumulation_steps": 16},
        {"num_train_epochs": 3, "per_device_train_batch_size": 11},
        {"max_steps": 12},
        {"num_processes": 2, "gradient_accumulation_steps": 2},
        {"use_peft": False},
        {"eval_steps": 1, "early_stopping_patience": 99},
    ],
    ids=str,
)
def test_whole_passes_take_the_very_tokens_that_were_told(config: dict[str, Any], tmp_path: Path) -> None:
    job = small_job(tmp_path, **config)
    plan, estimate = told_before(job)
    assert plan.tokens is not None
    assert plan.tokens.exact
    result = trained(job, tmp_path / "out")
    assert (estimate.steps, estimate.samples) == (result.total_steps, len(SAMPLES))
    assert (plan.tokens.all, plan.tokens.trained) == (result.tokens, result.trained_tokens)


@pytest.mark.parametrize(
    "config",
    [
        {"num_train_epochs": 1.5},
        {"num_train_epochs": 0.3, "gradient_accumulation_steps": 2},
        {"max_steps": 4},
        {"max_steps": 7, "gradient_accumulation_steps": 4},
        {"num_train_epochs": 1.4, "num_processes": 2},
    ],
    ids=str,
)
def test_a_part_of_a_pass_is_told_by_the_mean_and_said_to_be_so(
    config: dict[str, Any], tmp_path: Path
) -> None:
    job = small_job(tmp_path, **config)
    plan, estimate = told_before(job)
    assert plan.tokens is not None
    assert not plan.tokens.exact
    result = trained(job, tmp_path / "out")
    assert estimate.steps == result.total_steps
    assert result.tokens is not None
    # Whatever was drawn for the last pass, it was so many samples: between the shortest of them and the longest.
    arrays = read_arrays(job["arrays"])
    lengths = sorted(len(arrays.sample(int(place))[0]) for place in arrays.places(Split.TRAIN))
    passes, rest = divmod(estimate.samples_passed, len(lengths))
    least = passes * sum(lengths) + sum(lengths[:rest])
    most = passes * sum(lengths) + sum(lengths[len(lengths) - rest :])
    assert least <= result.tokens <= most
    assert least <= plan.tokens.all <= most


@pytest.mark.parametrize("order", ["mixed", "curriculum"])
def test_a_mixture_takes_as_many_steps_as_were_told(order: str, tmp_path: Path) -> None:
    job = mixed_job(tmp_path, mix_order=order, num_train_epochs=2)
    plan, estimate = told_before(job)
    assert plan.tokens is not None
    assert plan.mix is not None
    assert not plan.tokens.exact
    result = trained(job, tmp_path / "out")
    assert result.mix is not None
    assert result.tokens is not None
    assert (estimate.steps, plan.mix.conversations) == (result.total_steps, result.mix.mixed_in.conversations)
    assert plan.mix.available == result.mix.available
    epoch = result.mix.domain.tokens + result.mix.mixed_in.tokens
    if order == "mixed":
        assert result.tokens == 2 * epoch
    # Of the domain's part nothing is estimated, of the four that are drawn the mean is taken.
    drawn = result.mix.mixed_in.tokens
    assert plan.tokens.all == pytest.approx(2 * epoch, abs=2 * drawn / 2)


def test_what_was_trained_before_and_after_a_pause_counts_once(tmp_path: Path) -> None:
    class Lost(Recorder):
        def __call__(self, event: str, /, **payload: Any) -> None:
            super().__call__(event, **payload)
            if event == "progress" and payload["step"] == 8:
                raise Cancelled

    job = small_job(tmp_path, save_steps=3)
    plan, estimate = told_before(job)
    with pytest.raises(Cancelled):
        trained(job, tmp_path / "job" / "1", Lost())
    result = trained({**job, "resume_from": str(tmp_path / "job")}, tmp_path / "job" / "2")
    assert plan.tokens is not None
    assert estimate.steps == result.steps == 12
    assert (result.tokens, result.trained_tokens) == (plan.tokens.all, plan.tokens.trained)


@pytest.mark.parametrize(
    "config",
    [{}, {"eval_steps": 1, "early_stopping_patience": 1, "learning_rate": 1e-9}],
    ids=["asked", "by itself"],
)
def test_a_run_that_ends_sooner_tells_what_it_took_and_not_what_was_planned(
    config: dict[str, Any], tmp_path: Path
) -> None:
    job = small_job(tmp_path, num_train_epochs=50, **config)
    plan, estimate = told_before(job)
    result = trained(job, tmp_path / "out", StoppingAt(6))
    assert plan.tokens is not None
    assert result.tokens is not None
    assert result.total_steps == estimate.steps
    assert result.stopped_early
    # A pass is six steps.
    passes = result.steps / 6
    whole = plan.tokens.all // 50
    assert math.floor(passes) * whole <= result.tokens <= math.ceil(passes) * whole


def test_a_run_that_begins_with_an_adapter_takes_what_one_from_the_base_model_takes(tmp_path: Path) -> None:
    first = trained(small_job(tmp_path / "first"), tmp_path / "first" / "out")
    begin = {
        "how": "adapter",
        "run_id": 1,
        "step": first.adapter_step,
        "folder": str(tmp_path / "first" / "out" / "adapter"),
    }
    job = {**small_job(tmp_path / "second"), "begin": begin}
    plan, _estimate = told_before(job)
    result = trained(job, tmp_path / "second" / "out")
    assert plan.tokens is not None
    assert (result.tokens, result.trained_tokens) == (plan.tokens.all, plan.tokens.trained)
    assert (first.tokens, first.trained_tokens) == (result.tokens, result.trained_tokens)
