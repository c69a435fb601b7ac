"""The fused LoRA layer against PEFT's own, in output and gradients."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from worker.work.training.lora import _Fate, fuse_lora_layers


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


def _dropped(count: int, probability: float) -> torch.Tensor:
    places = _Fate.drawn(count, probability, torch.device("cpu")).places
    assert places is not None
    return places


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


@pytest.mark.parametrize("probability", [0.0001, 0.05, 0.5, 0.95])
def test_dropout_drops_each_element_with_the_probability_it_is_told(probability: float) -> None:
    torch.manual_seed(0)
    count, draws = 4000, 200
    hits = torch.zeros(count)
    for _ in range(draws):
        places = _dropped(count, probability)
        assert bool((places[1:] > places[:-1]).all())
        hits[places.long()] += 1
    # Five standard deviations, of the share overall and of the share of the first and of the last elements.
    for part in (hits, hits[:100], hits[-100:]):
        spread = (probability * (1 - probability) / (part.numel() * draws)) ** 0.5
        assert part.mean().item() / draws == pytest.approx(probability, abs=5 * spread)


def test_dropout_follows_torchs_seed_and_differs_from_layer_to_layer() -> None:
    def places() -> torch.Tensor:
        return _dropped(5000, 0.1)

    torch.manual_seed(3)
    first, second = places(), places()
    torch.manual_seed(3)
    assert torch.equal(places(), first)
    assert not torch.equal(first, second)


def test_with_dropout_the_gradient_belongs_to_the_very_elements_of_the_forward_pass() -> None:
    probability, x = 0.4, torch.randn(6, 24, dtype=torch.float64, requires_grad=True)
    model = _adapted(probability)
    layer = model.get_base_model().first
    fuse_lora_layers(model)
    torch.manual_seed(3)
    found = layer(x)
    torch.manual_seed(3)
    mask = torch.ones(x.numel(), dtype=torch.float64)
    mask[_dropped(x.numel(), probability).long()] = 0
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    kept = x * mask.view_as(x) / (1 - probability)
    expected = layer.base_layer(x) + kept @ a.t() @ b.t() * layer.scaling["default"]
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), (x, a, b)),
        torch.autograd.grad((expected * weights).sum(), (x, a, b)),
    )


def test_a_model_may_go_on_in_place_on_a_projections_output() -> None:
    model = _adapted()
    layer = model.get_base_model().first
    x = torch.randn(2, 3, 24, dtype=torch.float64)
    a = layer.lora_A["default"].weight
    expected = torch.autograd.grad((layer(x) * 2).sum(), a)
    fuse_lora_layers(model)
    torch.testing.assert_close(torch.autograd.grad(layer(x).mul_(2).sum(), a), expected)


def test_evaluation_uses_no_dropout() -> None:
    model = _adapted(0.5)
    fuse_lora_layers(model)
    model.eval()
    x = torch.randn(3, 24, dtype=torch.float64)
    assert torch.equal(model(x), model(x))


def test_fates_that_are_drawn_again_are_those_of_the_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where no list of places is kept and nothing waits for one."""
    probability, x = 0.4, torch.randn(6, 24, dtype=torch.float64, requires_grad=True)
    model = _adapted(probability)
    layer = model.get_base_model().first
    fuse_lora_layers(model)
    drawn = _Fate(7, probability, None)
    monkeypatch.setattr(_Fate, "drawn", lambda *_: drawn)
    dropped = drawn.mask(x)
    assert 0.2 < dropped.float().mean().item() < 0.6
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    kept = x * ~dropped / (1 - probability)
    expected = layer.base_layer(x) + kept @ a.t() @ b.t() * layer.scaling["default"]
    found = layer(x)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), (x, a, b)),
        torch.autograd.grad((expected * weights).sum(), (x, a, b)),
    )
