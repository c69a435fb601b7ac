"""LoRA layers that are given one input, computed together: outputs and gradients are those of each alone."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from worker.work.training import compiled
from worker.work.training.again import mark
from worker.work.training.lora import fuse_lora_layers, unfuse_lora_layers

NAMES = ("q_proj", "k_proj", "v_proj")
WIDTH, OUTPUTS, TOKENS = 32, (48, 16, 16), 12
Outputs = list[torch.Tensor]


@pytest.fixture(autouse=True)
def loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled._Switch, "loops", None)
    compiled.switch_on()


class Attention(torch.nn.Module):
    """Calls its layers as `way` says: by itself all of them on its input."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        for name, width in zip(NAMES, OUTPUTS, strict=True):
            setattr(self, name, torch.nn.Linear(WIDTH, width, bias=bias))
        self.way: Callable[[Attention, torch.Tensor], Outputs] = lambda one, x: [
            getattr(one, name)(x) for name in NAMES
        ]

    def forward(self, x: torch.Tensor) -> Outputs:
        return self.way(self, x)


def _adapted(*, bias: bool = False, dtype: torch.dtype = torch.bfloat16, **options: Any) -> Any:
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=list(NAMES), **options)
    # The frozen weights in bf16, as a run's are, and factors in fp32.
    model = get_peft_model(Attention(bias).to(torch.bfloat16).to(dtype), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def _input(seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, TOKENS, WIDTH, generator=generator).bfloat16().requires_grad_()


def _figures(model: Any, x: torch.Tensor) -> tuple[Outputs, list[torch.Tensor]]:
    """Outputs, and the gradients of x and of what is trained for a sum of all outputs, each number weighted otherwise."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    outputs: Outputs = model(x)
    total = sum(
        ((one.double() * _weights(one)).sum() for one in outputs), torch.zeros((), dtype=torch.float64)
    )
    return outputs, list(torch.autograd.grad(total, [x, *trained]))


def _weights(output: torch.Tensor) -> torch.Tensor:
    return torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output).sin()


def _apart(found: list[torch.Tensor], truth: list[torch.Tensor]) -> float:
    """The largest distance, as a share of what it should be."""
    return max(
        float((one.detach().double() - other.detach().double()).norm() / other.detach().double().norm())
        for one, other in zip(found, truth, strict=True)
    )


def _are_together(outputs: Outputs) -> bool:
    return len({one.grad_fn for one in outputs}) == 1


@pytest.mark.parametrize("bias", [False, True])
def test_together_they_are_as_near_to_the_truth_as_each_alone(bias: bool) -> None:
    model, x = _adapted(bias=bias), _input()
    true_outputs, truth = _figures(
        _adapted(bias=bias, dtype=torch.float64).double(), x.detach().double().requires_grad_()
    )
    assert fuse_lora_layers(model) == 3
    for module in model.modules():
        if forward := vars(module).get("forward"):
            forward.group = None
    alone, apart = _figures(model, x)
    assert not _are_together(alone)
    unfuse_lora_layers(model)
    fuse_lora_layers(model)
    together, gradients = _figures(model, x)
    assert _are_together(together)
    assert _apart(together, true_outputs) <= max(1.1 * _apart(alone, true_outputs), 5e-3)
    assert _apart(gradients, truth) <= max(1.1 * _apart(apart, truth), 5e-3)


def test_an_input_that_can_be_made_again_is_made_once_for_all() -> None:
    model, source, made = _adapted(), _input(), []

    def doubled(x: torch.Tensor) -> torch.Tensor:
        made.append(x)
        return x * 2

    fuse_lora_layers(model)
    _, expected = _figures(model, (source * 2).detach().requires_grad_())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    outputs = model(mark(source * 2, doubled, source))
    total = sum(
        ((one.double() * _weights(one)).sum() for one in outputs), torch.zeros((), dtype=torch.float64)
    )
    of_source, *found = torch.autograd.grad(total, [source, *trained])
    assert len(made) == 1
    torch.testing.assert_close(found, expected[1:], rtol=0, atol=0)
    torch.testing.assert_close(of_source, expected[0] * 2)


def test_nothing_goes_back_to_an_input_that_wants_no_gradient() -> None:
    model, x = _adapted(), _input()
    fuse_lora_layers(model)
    _, (_, *expected) = _figures(model, x)
    outputs = model(x.detach())
    total = sum(
        ((one.double() * _weights(one)).sum() for one in outputs), torch.zeros((), dtype=torch.float64)
    )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    torch.testing.assert_close(list(torch.autograd.grad(total, trained)), expected, rtol=0, atol=0)


def _each_another(one: Attention, x: torch.Tensor) -> Outputs:
    return [getattr(one, name)(x + number) for number, name in enumerate(NAMES)]


def _changed_in_between(one: Attention, x: torch.Tensor) -> Outputs:
    x = x * 1
    first = getattr(one, NAMES[0])(x)
    x.detach().add_(1)
    return [first, *(getattr(one, name)(x) for name in NAMES[1:])]


def _one_left_out(one: Attention, x: torch.Tensor) -> Outputs:
    return [getattr(one, name)(x) for name in NAMES[:2]]


@pytest.mark.parametrize("way", [_each_another, _one_left_out])
def test_a_module_that_does_not_call_all_on_one_input_gets_what_each_gives(
    way: Callable[[Attention, torch.Tensor], Outputs],
) -> None:
    model, x = _adapted(), _input()
    model.get_base_model().way = way
    with torch.no_grad():
        expected = model(x)
    fuse_lora_layers(model)
    for _ in range(2):
        outputs = model(x)
        torch.testing.assert_close(outputs, expected, rtol=2e-2, atol=2e-2)
    # The second time it is known.
    assert not _are_together(outputs)


def test_an_input_that_was_changed_in_between_is_multiplied_as_it_is_then() -> None:
    model, x = _adapted(), _input()
    model.get_base_model().way = _changed_in_between
    with torch.no_grad():
        expected = model(x)
    fuse_lora_layers(model)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    "options", [{"lora_dropout": 0.1}, {"rank_pattern": {"k_proj": 2}}, {"alpha_pattern": {"v_proj": 3}}]
)
def test_layers_that_drop_numbers_or_have_other_ranks_or_scales_stay_alone(options: dict[str, Any]) -> None:
    model = _adapted(**options).train()
    assert fuse_lora_layers(model) == 3
    assert not _are_together(model(_input()))


def test_other_precisions_and_an_adapter_that_is_off_go_the_other_way() -> None:
    model, x = _adapted(dtype=torch.float32), _input()
    fuse_lora_layers(model)
    assert not _are_together(model(x.detach().float().requires_grad_()))
    model = _adapted()
    fuse_lora_layers(model)
    with model.disable_adapter():
        found = model(x)
    base = model.get_base_model()
    expected = [getattr(base, name).base_layer(x) for name in NAMES]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_each_thread_gets_its_own_outputs() -> None:
    """Two lanes in the middle of the same layers: both wait between the first and the second."""
    model, inputs = _adapted(), [_input(seed=1), _input(seed=2)]
    fuse_lora_layers(model)
    expected = [model(x) for x in inputs]
    middle, found = threading.Barrier(2, timeout=60), {}

    def waiting(one: Attention, x: torch.Tensor) -> Outputs:
        first = getattr(one, NAMES[0])(x)
        middle.wait(60)
        return [first, *(getattr(one, name)(x) for name in NAMES[1:])]

    model.get_base_model().way = waiting
    threads = [
        threading.Thread(target=lambda number=number: found.update({number: model(inputs[number])}))  # type: ignore[misc]
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(2):
        assert _are_together(found[number])
        torch.testing.assert_close(found[number], expected[number], rtol=0, atol=0)
