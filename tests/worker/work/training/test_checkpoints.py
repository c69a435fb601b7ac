"""Checkpoints are whole or absent; the manifest decides."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes import optim as bitsandbytes_optimizers

from worker.work.training.checkpoints import (
    MANIFEST,
    STATE_FIELDS,
    STATE_TENSORS,
    Checkpoint,
    is_whole,
    load_optimizer_and_scheduler,
    load_random_state,
    newest_whole,
    publish,
    save_training_state,
    thin_out,
)

OPTIMIZERS = {
    "adamw_8bit": bitsandbytes_optimizers.AdamW8bit,
    "paged_adamw_8bit": bitsandbytes_optimizers.PagedAdamW8bit,
    "paged_adamw_32bit": bitsandbytes_optimizers.PagedAdamW32bit,
}


def _write(folder: Path) -> None:
    (folder / "weights").write_bytes(b"x" * 100)
    (folder / "state.json").write_text("{}")


def _checkpoint(folder: Path, step: int) -> Path:
    return publish(folder, f"checkpoint-{step}", _write)


def test_the_newest_whole_checkpoint_is_found_from_the_run_or_from_a_checkpoint(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        newest = _checkpoint(tmp_path / "checkpoints", step)
    for start in (tmp_path, tmp_path / "checkpoints", newest):
        found = newest_whole(start)
        assert found is not None
        assert (found.path, found.step) == (newest, 100)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "no manifest", "half a manifest", "grow"])
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, damage: str) -> None:
    whole, torn = _checkpoint(tmp_path, 1), _checkpoint(tmp_path, 2)
    match damage:
        case "truncate":
            (torn / "weights").write_bytes(b"x" * 99)
        case "flip":
            (torn / "weights").write_bytes(b"x" * 99 + b"y")
        case "grow":
            (torn / "weights").write_bytes(b"x" * 101)
        case "remove":
            (torn / "weights").unlink()
        case "no manifest":
            (torn / MANIFEST).unlink()
        case "half a manifest":
            (torn / MANIFEST).write_text((torn / MANIFEST).read_text()[:40])
    assert not is_whole(torn)
    found = newest_whole(tmp_path)
    assert found is not None
    assert found.path == whole


def test_a_write_that_fails_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _write(folder)
        raise OSError(28, "No space left on device")

    kept = _checkpoint(tmp_path, 1)
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, "checkpoint-2", fail)
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, "checkpoint-1", fail)
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert is_whole(kept)


def test_what_a_killed_writer_left_behind_is_no_checkpoint(tmp_path: Path) -> None:
    partial = tmp_path / ".partial-checkpoint-5"
    partial.mkdir()
    _write(partial)
    assert newest_whole(tmp_path) is None
    assert is_whole(_checkpoint(tmp_path, 5))
    assert not partial.exists()


def test_the_newest_and_the_best_are_kept_of_all_attempts(tmp_path: Path) -> None:
    def steps() -> list[str]:
        return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/checkpoints/*"))

    first, second = tmp_path / "1" / "checkpoints", tmp_path / "2" / "checkpoints"
    for step, loss in ((1, 3.0), (2, 0.5), (3, 2.0), (9, 0.1)):
        (_checkpoint(first, step) / STATE_FIELDS).write_text(json.dumps({"last_evaluation": [step, loss]}))
    # Torn, the one of step 9 was passed over: what is better about it is no use.
    thin_out(_checkpoint(second, 4), tmp_path, 3)
    assert steps() == [
        "1/checkpoints/checkpoint-2",
        "1/checkpoints/checkpoint-3",
        "2/checkpoints/checkpoint-4",
    ]
    for step in (5, 6):
        thin_out(_checkpoint(second, step), tmp_path, 2)
    assert steps() == ["1/checkpoints/checkpoint-2", "2/checkpoints/checkpoint-6"]
    thin_out(_checkpoint(second, 7), None, 2)
    assert steps()[1:] == ["2/checkpoints/checkpoint-6", "2/checkpoints/checkpoint-7"]


def test_optimizer_schedule_and_random_numbers_go_on_where_they_stopped(tmp_path: Path) -> None:
    def make() -> tuple[torch.nn.Linear, torch.optim.AdamW, torch.optim.lr_scheduler.LRScheduler]:
        torch.manual_seed(1)
        layer = torch.nn.Linear(4, 4)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
        return layer, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2)

    def step(layer: torch.nn.Linear, optimizer: torch.optim.AdamW, scheduler: object) -> list[float]:
        noise = torch.randn(4) * random.random() * np.random.rand()
        layer(noise).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()  # type: ignore[attr-defined]
        return layer.weight.flatten().tolist()

    going = make()
    for _ in range(3):
        step(*going)
    folder = tmp_path / "checkpoint-3"
    folder.mkdir()
    save_training_state(folder, going[1], going[2], torch.device("cpu"), {"note": 1})
    weights = {name: value.clone() for name, value in going[0].state_dict().items()}
    expected = [step(*going) for _ in range(3)]

    resumed = make()
    resumed[0].load_state_dict(weights)
    checkpoint = Checkpoint(folder, 3)
    load_optimizer_and_scheduler(checkpoint, resumed[1], resumed[2])
    load_random_state(checkpoint, torch.device("cpu"))
    assert [step(*resumed) for _ in range(3)] == expected
    assert checkpoint.fields()["note"] == 1


def test_nothing_in_a_checkpoint_is_pickled(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    save_training_state(tmp_path, optimizer, scheduler, torch.device("cpu"), {})
    assert {path.name for path in tmp_path.iterdir()} == {STATE_TENSORS, STATE_FIELDS}
    json.loads((tmp_path / STATE_FIELDS).read_text())


@pytest.mark.parametrize("kind", ["adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"])
@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
def test_an_optimizer_of_bitsandbytes_goes_on_from_where_it_was(tmp_path: Path, kind: str) -> None:
    """It keeps its tensors in a dict of their own, which no JSON can hold."""

    def begun() -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(128, 64))
        optimizer: torch.optim.Optimizer = OPTIMIZERS[kind]([weight], lr=0.1)
        return weight, optimizer

    def step(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer, number: int) -> None:
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
        optimizer.step()

    (weight, optimizer), (other, resumed) = begun(), begun()
    step(weight, optimizer, 1)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    save_training_state(tmp_path, optimizer, scheduler, torch.device("cpu"), {})
    load_optimizer_and_scheduler(
        Checkpoint(tmp_path, 1), resumed, torch.optim.lr_scheduler.ConstantLR(resumed)
    )
    with torch.no_grad():
        other.copy_(weight)
    step(weight, optimizer, 2)
    step(other, resumed, 2)
    assert torch.equal(other, weight)
