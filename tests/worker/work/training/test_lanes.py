"""Lanes against one pass over the whole batch, on a small random model."""

import threading
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from app.recipes.config import TrainingConfig
from app.sentences import FailureCode
from tests.worker.work.training.small_models import SMALL, adapted, batch_of
from worker.work.protocol import Cancelled, Control, JobFailed
from worker.work.training.data import Batch, EpochBatches
from worker.work.training.forward import PackedPass
from worker.work.training.lanes import (
    LanedPass,
    batches_together,
    in_lanes,
    lanes_for,
    row_tokens_for,
    rows_of,
    split,
)

CPU = torch.device("cpu")
LENGTHS = [9, 14, 11, 30, 12]


@pytest.fixture
def batch() -> Batch:
    return batch_of(LENGTHS, first_index=7)


def _model(dropout: float = 0.0, **changes: Any) -> Any:
    return adapted(LlamaConfig(**SMALL, **changes), dropout).train()


def _trained(model: Any) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _gradients(model: Any, loss: torch.Tensor, divisor: float) -> list[torch.Tensor]:
    model.zero_grad()
    (loss / divisor).backward()  # type: ignore[no-untyped-call]
    return [parameter.grad.clone() for parameter in _trained(model) if parameter.grad is not None]


@pytest.mark.parametrize("row_tokens", [None, 0, 20, 25, 1000])
@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
def test_loss_and_gradients_are_those_of_the_whole_batch(
    batch: Batch, lanes: int, row_tokens: int | None
) -> None:
    model = _model()
    whole = PackedPass(model)
    laned = LanedPass(whole, _trained(model), lanes, row_tokens)
    expected, found = whole(batch), laned(batch)
    torch.testing.assert_close(found, expected)
    assert found.item() > 0
    gradients = _gradients(model, found, 37.0)
    assert len(gradients) == len(_trained(model))
    torch.testing.assert_close(gradients, _gradients(model, expected, 37.0))
    with torch.no_grad():
        torch.testing.assert_close(laned(batch), expected)


def test_gradients_of_several_batches_add_up(batch: Batch) -> None:
    model = _model()
    whole = PackedPass(model)
    laned = LanedPass(whole, _trained(model), 2)
    expected = _gradients(model, whole(batch) * 3, 1.0)
    model.zero_grad()
    for scale in (1.0, 2.0):
        (laned(batch) * scale).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close([parameter.grad for parameter in _trained(model)], expected)


@pytest.mark.parametrize("row_tokens", [None, 0])
def test_a_parameter_that_the_loss_does_not_reach_stays_without_gradient(
    batch: Batch, row_tokens: int | None
) -> None:
    model = _model()
    reached, idle = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))

    def in_one_lane_only(part: Batch) -> torch.Tensor:
        factor = reached if 10 in part["sample_indices"] else 1.0
        return PackedPass(model)(part) * factor

    loss = LanedPass(in_one_lane_only, [reached, idle], 2, row_tokens)(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    lane = next(part for part in split(batch, 2) if 10 in part["sample_indices"])
    [own] = [row for row in rows_of(lane, row_tokens) if 10 in row["sample_indices"]]
    assert reached.grad is not None
    torch.testing.assert_close(reached.grad, PackedPass(model)(own).detach())
    assert idle.grad is None


def test_each_conversation_goes_into_one_lane_whole_and_lanes_are_about_as_long(batch: Batch) -> None:
    parts = split(batch, 2)
    assert sorted(index for part in parts for index in part["sample_indices"]) == [7, 8, 9, 10, 11]
    assert [part["borders"][-1] for part in parts] == [39, 37]
    for part in parts:
        for place, index in enumerate(part["sample_indices"]):
            here = slice(part["borders"][place], part["borders"][place + 1])
            there = slice(batch["borders"][index - 7], batch["borders"][index - 6])
            for name in ("input_ids", "labels", "position_ids"):
                assert torch.equal(part[name][:, here], batch[name][:, there])
    assert len(split(batch, 9)) == 5


def test_rows_hold_whole_conversations_and_no_more_tokens_than_asked_for(batch: Batch) -> None:
    rows = rows_of(batch, 26)
    assert [row["sample_indices"] for row in rows] == [[10], [8, 11], [7, 9]]
    assert [row["borders"] for row in rows] == [[0, 30], [0, 14, 26], [0, 9, 20]]
    for row in rows:
        for place, index in enumerate(row["sample_indices"]):
            there = slice(batch["borders"][index - 7], batch["borders"][index - 6])
            here = slice(row["borders"][place], row["borders"][place + 1])
            for name in ("input_ids", "labels", "position_ids"):
                assert torch.equal(row[name][:, here], batch[name][:, there])
    assert rows_of(batch, None) == [batch]
    assert len(rows_of(batch, 0)) == len(LENGTHS)


@pytest.mark.parametrize("lanes", [2, 3, 4])
def test_lanes_hold_no_more_tokens_at_a_time_than_the_largest_batch(lanes: int) -> None:
    lengths = [[100, 20, 30, 40], [10, 10, 10, 10], [60, 60, 50, 40]]
    row = row_tokens_for(lengths, lanes)
    assert lanes * row <= 210
    assert 100 + (lanes - 1) * row <= 210
    # Nobody would hold less than a lane has of an even batch.
    assert row_tokens_for([[50] * 4], 2) == 100


def test_lanes_begin_from_both_ends_so_that_the_longest_rows_are_not_in_memory_together() -> None:
    model = _model()
    seen: dict[int, list[int]] = {}

    def watching(row: Batch) -> torch.Tensor:
        seen.setdefault(threading.get_ident(), []).append(row["borders"][-1])
        return PackedPass(model)(row)

    LanedPass(watching, _trained(model), 2, 0)(batch_of([9, 10, 20, 21, 30, 31]))
    assert sorted(seen.values()) == [[9, 21, 30], [31, 20, 10]]


def test_a_lane_takes_what_all_batches_of_a_step_have_and_asks_before_each_row() -> None:
    model, control = _model(), Control()
    config = TrainingConfig(per_device_train_batch_size=2, gradient_accumulation_steps=3)
    torch.set_num_threads(2)
    laned = in_lanes(PackedPass(model), model, config, CPU, LENGTHS, control.raise_if_cancelled)
    assert batches_together(laned, config) == 3
    largest = max(sum(LENGTHS[place] for place in places) for places in EpochBatches(5, 2, config.seed))
    assert isinstance(laned, LanedPass)
    assert laned.row_tokens == min(largest // 2, largest - 30)
    alone = in_lanes(PackedPass(model), model, config.model_copy(update={"load_in_4bit": True}), CPU, LENGTHS)
    assert batches_together(alone, config) == 1
    control.request_stop("cancel")
    with pytest.raises(Cancelled):
        laned(batch_of(LENGTHS))


def test_dropout_follows_the_seed_however_the_lanes_take_turns(batch: Batch) -> None:
    model = _model(dropout=0.3)
    laned = LanedPass(PackedPass(model), _trained(model), 3, 20)

    def losses(seed: int) -> list[float]:
        torch.manual_seed(seed)
        return [laned(batch).item() for _ in range(4)]

    first = losses(5)
    assert first == losses(5)
    assert len({*first, *losses(6)}) == 8


def test_what_goes_wrong_in_a_lane_ends_the_batch(batch: Batch) -> None:
    model = _model()

    def refuse(part: Batch) -> torch.Tensor:
        if 10 in part["sample_indices"]:
            raise JobFailed(FailureCode.ARRAYS_DIFFER, "other labels")
        return PackedPass(model)(part)

    with pytest.raises(JobFailed, match="other labels"):
        LanedPass(refuse, _trained(model), 2)(batch)


class TestHowMany:
    @pytest.fixture(autouse=True)
    def four_threads(self) -> None:
        torch.set_num_threads(4)

    def config(self, **changes: Any) -> TrainingConfig:
        return TrainingConfig(per_device_train_batch_size=3, **changes)

    def test_as_many_as_cores_and_conversations_allow(self) -> None:
        assert lanes_for(_model(dropout=0.1), self.config(), CPU) == 3
        torch.set_num_threads(2)
        assert lanes_for(_model(), self.config(), CPU) == 2
        torch.set_num_threads(1)
        assert lanes_for(_model(), self.config(), CPU) == 1

    def test_one_on_a_gpu(self) -> None:
        assert lanes_for(_model(), self.config(), torch.device("cuda")) == 1

    def test_one_where_activations_are_computed_again(self) -> None:
        assert lanes_for(_model(), self.config(gradient_checkpointing=True), CPU) == 1

    def test_one_for_weights_in_four_bits(self) -> None:
        assert lanes_for(_model(), self.config(load_in_4bit=True), CPU) == 1

    def test_one_where_the_model_draws_dropout_of_its_own(self) -> None:
        assert lanes_for(_model(attention_dropout=0.1), self.config(), CPU) == 1
        model = _model()
        model.get_base_model().model.extra = torch.nn.Dropout(0.1)
        assert lanes_for(model, self.config(), CPU) == 1

    def test_one_where_the_model_keeps_something_between_calls(self) -> None:
        rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
        assert lanes_for(_model(rope_parameters=rope), self.config(), CPU) == 1


def test_a_lane_works_on_its_share_of_the_threads(batch: Batch) -> None:
    model = _model()
    torch.set_num_threads(4)
    seen = []

    def watching(part: Batch) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return PackedPass(model)(part)

    LanedPass(watching, _trained(model), 2)(batch)
    assert seen == [2, 2]
