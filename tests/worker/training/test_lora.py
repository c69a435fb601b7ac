"""The fused LoRA layer against PEFT's own, in output and gradients."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from worker.training.lora import _drop, _keep_mask, fuse_lora_layers


class TwoLayers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(24, 40)
        self.second = torch.nn.Linear(40, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.second(torch.tanh(self.first(x)))
        return output


def _adapted(dropout: float = 0.0, **options: bool) -> torch.nn.Module:
    torch.manual_seed(0)
    config = LoraConfig(
        r=4, lora_alpha=12, lora_dropout=dropout, target_modules=["first", "second"], **options
    )
    model = get_peft_model(TwoLayers(), config).double()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("rslora", [True, False])
def test_output_and_gradients_are_those_of_peft(rslora: bool) -> None:
    model = _adapted(use_rslora=rslora)
    x = torch.randn(2, 7, 24, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 7, 8, dtype=torch.float64)
    trained = [p for p in model.parameters() if p.requires_grad]
    expected = model(x)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), [x, *trained])
    assert fuse_lora_layers(model) == 2
    found = model(x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), [x, *trained]), expected_gradients
    )


def test_an_adapter_that_is_switched_off_leaves_the_base_model() -> None:
    model = _adapted()
    fuse_lora_layers(model)
    x = torch.randn(3, 24, dtype=torch.float64)
    base = model.get_base_model()
    with model.disable_adapter():
        found = model(x)
    expected = base.second.base_layer(torch.tanh(base.first.base_layer(x)))
    torch.testing.assert_close(found, expected)


def test_layers_of_other_kinds_keep_pefts_own_forward() -> None:
    assert fuse_lora_layers(_adapted(use_dora=True)) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95])
def test_dropout_drops_the_share_it_is_told_and_the_same_elements_for_the_same_seed(
    dtype: torch.dtype, probability: float
) -> None:
    x = torch.ones(500, 401, dtype=dtype)
    dropped = _drop(x, probability, seed=7)
    assert set(dropped.unique().tolist()) == {0.0, 1.0}
    assert (dropped == 0).float().mean().item() == pytest.approx(probability, abs=0.01)
    assert torch.equal(dropped, _drop(x, probability, seed=7))
    assert not torch.equal(dropped, _drop(x, probability, seed=8))


def test_with_dropout_the_gradient_belongs_to_the_very_mask_of_the_forward_pass() -> None:
    probability, x = 0.4, torch.randn(6, 24, dtype=torch.float64, requires_grad=True)
    model = _adapted(probability)
    layer = model.get_base_model().first
    fuse_lora_layers(model)
    torch.manual_seed(3)
    found = layer(x)
    torch.manual_seed(3)
    mask = _keep_mask(x, probability, int(torch.randint(2**62, ())))
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    kept = x * (mask != 0) / (1 - probability)
    expected = layer.base_layer(x) + kept @ a.t() @ b.t() * layer.scaling["default"]
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), (x, a, b)),
        torch.autograd.grad((expected * weights).sum(), (x, a, b)),
    )


def test_evaluation_uses_no_dropout() -> None:
    model = _adapted(0.5)
    fuse_lora_layers(model)
    model.eval()
    x = torch.randn(3, 24, dtype=torch.float64)
    assert torch.equal(model(x), model(x))
