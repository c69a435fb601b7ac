"""Lanes against one pass over the whole batch, on a small random model."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from app.recipes.config import TrainingConfig
from app.sentences import FailureCode
from tests.worker.work.training.small_models import SMALL, adapted, batch_of
from worker.work.protocol import JobFailed
from worker.work.training.data import Batch
from worker.work.training.forward import PackedPass
from worker.work.training.lanes import LanedPass, lanes_for, split

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


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
def test_loss_and_gradients_are_those_of_the_whole_batch(batch: Batch, lanes: int) -> None:
    model = _model()
    whole = PackedPass(model)
    laned = LanedPass(whole, _trained(model), lanes)
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


def test_a_parameter_that_the_loss_does_not_reach_stays_without_gradient(batch: Batch) -> None:
    model = _model()
    reached, idle = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))

    def in_one_lane_only(part: Batch) -> torch.Tensor:
        factor = reached if 10 in part["sample_indices"] else 1.0
        return PackedPass(model)(part) * factor

    loss = LanedPass(in_one_lane_only, [reached, idle], 2)(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    own = next(part for part in split(batch, 2) if 10 in part["sample_indices"])
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


def test_dropout_follows_the_seed_however_the_lanes_take_turns(batch: Batch) -> None:
    model = _model(dropout=0.3)
    laned = LanedPass(PackedPass(model), _trained(model), 3)

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
