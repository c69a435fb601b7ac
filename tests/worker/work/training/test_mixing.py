"""A second dataset in a real run: what is trained in which order, what is measured beside, and what is told of it."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from app.masking import Split
from app.runs.result import RunResult
from tests.support.small_runs import BASE, base_folder, exchanges, price_questions, sample
from tests.worker.conftest import PROVENANCE, Recorder, write_arrays_file
from tests.worker.work import doing
from worker.work.protocol import Control, JobFailed
from worker.work.training.mixing import curriculum
from worker.work.training.trainer import SftTrainer


def _arrays(path: Path, first_id: int, pairs: list[Any], held_out: int) -> str:
    tokenizer = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    split = [0] * (len(pairs) - held_out) + [1] * held_out
    told = write_arrays_file(path, [sample(tokenizer, pair) for pair in pairs], split)
    # Conversations have numbers of their own across datasets.
    numbers = load_file(path)
    numbers["conversation_ids"] = numbers["conversation_ids"] + first_id
    save_file(numbers, path, {"hash": told, "settings": "{}", "base_model": "small"})
    return told


def job(folder: Path, **config: Any) -> dict[str, Any]:
    """Twelve domain and eight general conversations, of which two each are held out."""
    folder.mkdir(parents=True, exist_ok=True)
    domain, general = folder / "domain.safetensors", folder / "general.safetensors"
    own = _arrays(domain, 0, price_questions()[:12], 2)
    other = _arrays(general, 1000, exchanges()[:8], 2)
    return {
        "arrays": str(domain),
        "arrays_hash": own,
        "mixed_in": {"arrays": str(general), "arrays_hash": other},
        "base_model_path": str(base_folder()),
        "provenance": PROVENANCE,
        "config": {
            **BASE,
            "eval_steps": 2,
            "per_device_train_batch_size": 2,
            "num_train_epochs": 2,
            **config,
        },
        "resume_from": None,
    }


def test_a_mixed_run_trains_both_and_measures_both_and_tells_what_it_drew(tmp_path: Path) -> None:
    told = Recorder()
    asked = job(tmp_path)
    result = RunResult.stored(doing.train(asked, tmp_path / "out", told, Control()))
    mix = result.mix
    assert mix is not None
    # 10 of the domain, 30 % of all are 4 of the other's 6.
    assert (mix.domain.conversations, mix.mixed_in.conversations, mix.available) == (10, 4, 6)
    assert mix.share == pytest.approx(4 / 14)
    assert result.labels_seen == result.labels_total == 12 + 4 + 2
    assert result.labels_hash == mix.arrays_hash != asked["arrays_hash"]
    evals = told.of("eval")
    assert [point["step"] for point in evals] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert mix.loss_before == evals[0]["mixed_loss"]
    assert mix.loss_after == evals[-1]["mixed_loss"]
    assert evals[-1]["eval_loss"] == result.eval_loss != mix.loss_after
    drawn = json.loads((tmp_path / "out" / "adapter" / mix.drawn).read_text("utf-8"))["conversation_ids"]
    assert len(set(drawn)) == 4
    assert all(number > 1000 for number in drawn)
    # The same once more is the same to the last digit.
    again = Recorder()
    doing.train(asked, tmp_path / "again", again, Control())
    assert [event["loss"] for event in again.of("metric")] == [event["loss"] for event in told.of("metric")]


def test_a_curriculum_trains_all_of_the_second_dataset_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    step = SftTrainer.training_step

    def watched(self: SftTrainer, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        seen.extend(inputs["sample_indices"])
        return step(self, model, inputs, num_items_in_batch)

    monkeypatch.setattr(SftTrainer, "training_step", watched)
    told = Recorder()
    asked = job(tmp_path, mix_order="curriculum", early_stopping_patience=1)
    result = RunResult.stored(doing.train(asked, tmp_path / "out", told, Control()))
    assert len(seen) == 28
    assert all(index >= 12 for index in seen[:8])
    assert all(index < 10 for index in seen[8:])
    assert sorted(seen[:4]) == sorted(seen[4:8])
    assert result.labels_seen == result.labels_total
    assert result.mix is not None
    assert result.mix.order == "curriculum"


def test_two_processes_go_through_a_curriculum_as_one_and_measure_both_together(tmp_path: Path) -> None:
    told = []
    for name, config in (
        ("alone", {"gradient_accumulation_steps": 2}),
        ("both", {"gradient_accumulation_steps": 1, "num_processes": 2}),
    ):
        emit = Recorder()
        asked = job(tmp_path / name, mix_order="curriculum", lora_dropout=0.0, **config)
        found = doing.train(asked, tmp_path / name / "out", emit, Control())
        assert found["labels_seen"] == found["labels_total"]
        told.append((emit, found))
    (alone, expected), (both, result) = told
    assert result["labels_hash"] == expected["labels_hash"]
    for kind, field in (("metric", "loss"), ("eval", "eval_loss"), ("eval", "mixed_loss")):
        assert [event[field] for event in both.of(kind)] == pytest.approx(
            [event[field] for event in alone.of(kind)], rel=1e-4
        )


def test_the_border_of_a_curriculum_lies_where_the_shares_say_whatever_the_epochs() -> None:
    mixed, domain = list(range(100, 103)), list(range(7))
    order = curriculum(mixed, domain, 1, in_all=25)
    run = list(chain.from_iterable(order(epoch) for epoch in range(3)))[:25]
    assert all(place >= 100 for place in run[:8])
    assert all(place < 100 for place in run[8:])
    assert {*run[:8]} == set(mixed)
    assert sorted(run[8:15]) == domain
    assert order(1) == order(1)


def test_arrays_that_are_not_the_checked_ones_are_refused_for_either_dataset(tmp_path: Path) -> None:
    asked = job(tmp_path)
    asked["mixed_in"]["arrays_hash"] = "0" * 64
    with pytest.raises(JobFailed, match="not the checked ones"):
        doing.train(asked, tmp_path / "out", Recorder(), Control())


def test_splits_of_the_arrays_keep_their_numbers() -> None:
    assert (Split.TRAIN, Split.VALIDATION, Split.MIXED_VALIDATION) == (0, 1, 2)
