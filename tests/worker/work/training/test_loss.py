"""The chunked loss against torch's plain cross-entropy, in value and gradient."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from worker.work.training import loss as loss_module
from worker.work.training.loss import cross_entropy_sum

VOCABULARY = 300


def _case(bias: bool, frozen: bool) -> tuple[torch.Tensor, torch.nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    head = torch.nn.Linear(16, VOCABULARY, bias=bias)
    head.requires_grad_(not frozen)
    return torch.randn(37, 16, requires_grad=True), head, torch.randint(0, VOCABULARY, (37,))


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_the_loss_and_its_gradients_are_those_of_plain_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, frozen: bool, bias: bool, chunk: int
) -> None:
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", chunk * VOCABULARY)
    hidden, head, targets = _case(bias, frozen)
    ours = cross_entropy_sum(hidden, head, targets)
    (3 * ours / 7).backward()
    gradients = [hidden.grad, head.weight.grad, head.bias.grad if bias else None]
    hidden.grad = None
    head.zero_grad()
    plain = functional.cross_entropy(head(hidden), targets, reduction="sum")
    (3 * plain / 7).backward()
    torch.testing.assert_close(ours, plain)
    for found, expected in zip(
        gradients, [hidden.grad, head.weight.grad, head.bias.grad if bias else None], strict=True
    ):
        if expected is None:
            assert found is None
        else:
            torch.testing.assert_close(found, expected)


def test_a_token_the_model_thinks_impossible_gives_a_large_loss_and_not_infinity() -> None:
    head = torch.nn.Linear(1, 2, bias=False).requires_grad_(False)
    head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    loss = cross_entropy_sum(torch.tensor([[100.0]], requires_grad=True), head, torch.tensor([1]))
    assert loss.item() == pytest.approx(200.0)


def test_nothing_trained_is_a_loss_of_zero_that_can_still_go_backward() -> None:
    hidden = torch.zeros(0, 16, requires_grad=True)
    loss = cross_entropy_sum(hidden, torch.nn.Linear(16, VOCABULARY), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0.0


@pytest.mark.parametrize("confidence", [0.0, 4.0, 12.0])
def test_in_bf16_value_and_gradient_are_as_near_to_the_truth_as_plain_cross_entropys(
    confidence: float,
) -> None:
    # Sure tokens are the hard case: their gradient is the small difference of two large numbers.
    torch.manual_seed(0)
    head = torch.nn.Linear(64, 500, bias=False).bfloat16().requires_grad_(False)
    targets = torch.randint(0, 500, (40,))
    toward = head.weight[targets].float()
    hidden = (torch.randn(40, 64) + confidence * toward * 64**0.5).bfloat16()

    def of(
        way: Callable[[torch.Tensor, torch.nn.Linear], torch.Tensor], dtype: torch.dtype
    ) -> list[torch.Tensor]:
        x = hidden.to(dtype).requires_grad_()
        layer = torch.nn.Linear(64, 500, bias=False).to(dtype).requires_grad_(False)
        layer.weight.copy_(head.weight)
        loss = way(x, layer)
        return [loss.detach().double(), torch.autograd.grad(loss, x)[0].double()]

    def plain(x: torch.Tensor, layer: torch.nn.Linear) -> torch.Tensor:
        logits = layer(x)
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return functional.cross_entropy(wide, targets, reduction="sum")

    truth = of(plain, torch.float64)
    ours = of(lambda x, layer: cross_entropy_sum(x, layer, targets), torch.bfloat16)
    theirs = of(plain, torch.bfloat16)
    for exact, found, usual in zip(truth, ours, theirs, strict=True):
        assert (found - exact).norm() <= 1.5 * (usual - exact).norm() + 1e-3 * exact.norm()


def test_as_many_bytes_of_logits_exist_in_every_precision() -> None:
    assert loss_module.rows_at_a_time(49_152, torch.float32) == 256
    assert loss_module.rows_at_a_time(49_152, torch.bfloat16) == 512
    assert loss_module.rows_at_a_time(10**9, torch.bfloat16) == 1
