"""The chunked loss against torch's plain cross-entropy, in value and gradient."""

import pytest
import torch
from torch.nn import functional

from worker.training import loss as loss_module
from worker.training.loss import cross_entropy_sum

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
