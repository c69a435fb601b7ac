"""Rows beside those that are wanted: nobody sees them, and products recur."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig

from app.masking import IGNORE_INDEX
from tests.worker.work.training.small_models import SMALL, adapted, batch_of
from worker.work.training.attention import PACKED_ATTENTION, packed_attention
from worker.work.training.data import Batch
from worker.work.training.forward import PackedPass
from worker.work.training.loss import cross_entropy_sum
from worker.work.training.shapes import ROWS, rows_beside
from worker.work.training.trial import set_attention


def _model() -> Any:
    model = adapted(LlamaConfig(**SMALL)).bfloat16().train()
    assert set_attention(model, PACKED_ATTENTION)
    return model


def _figures(packed: PackedPass, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    loss = packed(batch)
    trained = [parameter for parameter in packed.model.parameters() if parameter.requires_grad]
    return loss.detach(), list(torch.autograd.grad(loss, trained))


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.work.training.shapes.ROWS", 1)


def _alike(lengths: list[int]) -> Batch:
    """Conversations that begin with the same 20 tokens."""
    batch = batch_of(lengths)
    for start, _ in pairwise(batch["borders"]):
        batch["input_ids"][0, start : start + 20] = batch["input_ids"][0, :20]
    batch["labels"] = batch["input_ids"].clone()
    return batch


@pytest.mark.parametrize("shares_from", [None, 16])
def test_the_tokens_of_a_batch_are_rounded_up_and_loss_and_gradients_stay(
    shares_from: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = _alike([40, 45, 33])
    batch["labels"][0, 112:] = IGNORE_INDEX
    packed, seen = PackedPass(_model(), shares_from=shares_from), []
    packed.body.embed_tokens.register_forward_hook(lambda _module, args, _out: seen.append(args[0].shape[1]))
    loss, gradients = _figures(packed, batch)
    assert seen[-1] % ROWS == 0
    _without(monkeypatch)
    expected, gradients_without = _figures(packed, batch)
    assert 0 < seen[0] - seen[-1] < ROWS
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)
    for found, wanted in zip(gradients, gradients_without, strict=True):
        assert (found - wanted).float().norm() <= 1e-2 * wanted.float().norm() + 1e-6


def test_batches_of_many_lengths_meet_few_numbers_of_rows() -> None:
    packed, seen = PackedPass(_model()), set()
    packed.body.embed_tokens.register_forward_hook(lambda _module, args, _out: seen.add(args[0].shape[1]))
    with torch.no_grad():
        for length in range(20, 52):
            packed(batch_of([length, 2 * length % 37 + 3]))
    assert len(seen) <= 6


class _Shapes(TorchDispatchMode):
    """Those of attention's products."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, tuple[int, ...]]] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if "bmm" in name or "flash_attention" in name:
            self.seen.update((name, tuple(one.shape)) for one in args if isinstance(one, torch.Tensor))
        return func(*args, **(kwargs or {}))


def test_conversations_of_nearly_one_length_attend_by_products_of_the_same_shapes() -> None:
    found = []
    for length in (33, 40, 48):
        query, key, value = (
            torch.randn(1, heads, length, 8).bfloat16().requires_grad_() for heads in (4, 2, 2)
        )
        with _Shapes() as shapes:
            output, _ = packed_attention(torch.nn.Identity(), query, key, value, None, borders=[0, length])
            output.sum().backward()  # type: ignore[no-untyped-call]
        found.append(shapes.seen)
    assert len(found[0]) > 6
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("trained", [1, 15, 16, 17, 45])
def test_the_loss_of_any_number_of_trained_tokens_is_that_without(
    trained: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(trained)
    head = torch.nn.Linear(24, 96, bias=True).bfloat16().requires_grad_(False)
    hidden = torch.randn(trained, 24, generator=generator).bfloat16().requires_grad_()
    targets = torch.randint(96, (trained,), generator=generator)
    found = cross_entropy_sum(hidden, head, targets)
    (gradient,) = torch.autograd.grad(found, hidden)
    _without(monkeypatch)
    expected = cross_entropy_sum(hidden, head, targets)
    (gradient_without,) = torch.autograd.grad(expected, hidden)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(gradient, gradient_without, rtol=2**-6, atol=1e-3)


@pytest.mark.parametrize(
    ("factor", "beside"),
    [
        (torch.zeros(2, dtype=torch.bfloat16), 11),
        (torch.zeros(2), 0),
        (torch.zeros(2, dtype=torch.bfloat16, device="meta"), 0),
    ],
    ids=["bf16", "float32", "elsewhere"],
)
def test_only_products_that_are_compiled_for_their_shape_get_rows_beside(
    factor: torch.Tensor, beside: int
) -> None:
    assert rows_beside(37, factor) == beside
    assert rows_beside(48, factor) == 0
