"""What the packed pass leaves out beside the same pass over everything."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from app.masking import IGNORE_INDEX
from tests.worker.work.training.small_models import SMALL, adapted, batch_of
from worker.work.training.attention import PACKED_ATTENTION, VARLEN_ATTENTION
from worker.work.training.data import Batch, next_token_targets, on_device
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.loss import cross_entropy_sum
from worker.work.training.trial import set_attention

LENGTHS = [9, 14, 11]


def _cut(batch: Batch, *places: tuple[int, int]) -> Batch:
    for start, end in places:
        batch["labels"][0, start:end] = IGNORE_INDEX
    return batch


def _gradients(model: Any, loss: torch.Tensor) -> list[torch.Tensor]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad(loss, trained))


@pytest.mark.parametrize(
    ("places", "left"),
    [([], [8, 13, 10]), ([(6, 9), (30, 34)], [5, 13, 6]), ([(9, 23)], [8, 10]), ([(0, 34)], [9, 14, 11])],
    ids=["trained to the end", "ends that are context", "a conversation that is context", "nothing trained"],
)
def test_what_comes_after_the_last_trained_token_is_not_computed_and_changes_nothing(
    places: list[tuple[int, int]], left: list[int]
) -> None:
    model, plain = adapted(LlamaConfig(**SMALL)).train(), adapted(LlamaConfig(**SMALL), packed=False).train()
    batch = batch_of(LENGTHS)
    batch["labels"] = batch["input_ids"].clone()
    _cut(batch, *places)
    packed, seen = PackedPass(model), []
    whole = packed.hidden

    def watched(part: Batch, _prefixes: None) -> torch.Tensor:
        borders = part["borders"]
        seen.extend(end - start for start, end in pairwise(borders))
        assert part["input_ids"].shape == part["position_ids"].shape == (1, borders[-1])
        return whole(part)

    packed.hidden = watched  # type: ignore[method-assign]
    found, expected = packed(batch), PlainPass(plain)(batch)
    assert seen == left
    torch.testing.assert_close(found, expected)
    if bool((next_token_targets(batch["labels"], batch["borders"]) != IGNORE_INDEX).any()):
        torch.testing.assert_close(_gradients(model, found), _gradients(plain, expected))


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("attention", [PACKED_ATTENTION, VARLEN_ATTENTION])
def test_on_another_device_than_the_processor_nothing_is_made_elsewhere_or_waited_for(
    attention: str, recomputed: bool
) -> None:
    """The meta device has shapes and no numbers: what mixes devices or asks for a number fails there, as it would wait on a GPU."""
    model, device = adapted(LlamaConfig(**SMALL), packed=False), torch.device("meta")
    assert set_attention(model, attention)
    if recomputed:
        model.enable_input_require_grads()
        model.get_base_model().activation_checkpointing_enable(
            activation_checkpointing_kwargs={"use_reentrant": False}
        )
    for parameter in model.parameters():
        parameter.data = parameter.data if parameter.requires_grad else parameter.data.bfloat16()
    model.to(device).train()
    batch = on_device(batch_of(LENGTHS), device)
    packed = PackedPass(model)
    hidden = packed.hidden(batch)
    loss = cross_entropy_sum(hidden[0], packed.head, batch["labels"][0])
    assert (hidden.dtype, loss.dtype) == (torch.bfloat16, torch.float32)
    assert {(found.device, found.dtype) for found in _gradients(model, loss)} == {(device, torch.float32)}
