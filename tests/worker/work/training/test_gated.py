"""Gated feed-forward layers against transformers' own, in output and gradients, and what is kept for the way back."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Gemma2Config, LlamaConfig
from transformers.models.gemma2.modeling_gemma2 import Gemma2MLP
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

from worker.work.training.gated import fuse_gated_products
from worker.work.training.lora import fuse_lora_layers
from worker.work.training.norm import fuse_rms_norms

WIDTH, INNER, TOKENS = 32, 80, 7
SIZES = {"hidden_size": WIDTH, "intermediate_size": INNER}
KINDS = [
    (LlamaMLP, LlamaConfig(**SIZES)),
    (LlamaMLP, LlamaConfig(**SIZES, hidden_act="gelu")),
    (Gemma2MLP, Gemma2Config(**SIZES)),
]


class Block(torch.nn.Module):
    def __init__(self, kind: Any, config: Any) -> None:
        super().__init__()
        self.norm, self.mlp = LlamaRMSNorm(WIDTH), kind(config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = x + self.mlp(self.norm(x))
        return output


def _adapted(kind: Any, config: Any, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    layers = ["gate_proj", "up_proj", "down_proj"]
    block = Block(kind, config).to(dtype).requires_grad_(False)
    model = get_peft_model(block, LoraConfig(r=4, lora_alpha=8, target_modules=layers))  # type: ignore[arg-type]
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    fuse_lora_layers(model)
    return model


def _input(dtype: torch.dtype) -> torch.Tensor:
    return (
        torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    )


def _kept(model: Any, x: torch.Tensor) -> int:
    """Numbers that a forward pass keeps beside the weights, each memory once."""
    storages = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = (
            tensor.untyped_storage().nbytes() // tensor.element_size()
        )
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(x)
    for parameter in model.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    del output
    return sum(storages.values())


@pytest.mark.parametrize(("kind", "config"), KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_output_and_gradients_are_those_of_transformers_to_the_last_bit(
    kind: Any, config: Any, dtype: torch.dtype
) -> None:
    model, x = _adapted(kind, config, dtype), _input(dtype)
    trained = [x, *(p for p in model.parameters() if p.requires_grad)]
    weights = torch.randn(1, TOKENS, WIDTH).to(dtype)
    plain = model(x)
    expected = torch.autograd.grad(plain, trained, weights)
    assert fuse_gated_products(model) == 1
    found = model(x)
    assert torch.equal(found, plain)
    torch.testing.assert_close(torch.autograd.grad(found, trained, weights), expected, rtol=0, atol=0)


def test_neither_the_norm_nor_the_activation_nor_the_product_is_kept() -> None:
    model, x = _adapted(*KINDS[0]), _input(torch.float32)
    before = _kept(model, x)
    assert fuse_rms_norms(model) == fuse_gated_products(model) == 1
    after = _kept(model, x)
    own = TOKENS * (WIDTH + 2 * INNER + 1)  # x, gate, up, and the norm's scale
    of_adapters = 3 * TOKENS * 4  # low-rank products
    assert after <= own + of_adapters < before


def test_what_is_changed_after_it_was_made_is_kept_as_it_is() -> None:
    model, x = _adapted(*KINDS[0]), _input(torch.float32)
    mlp = model.get_base_model().mlp
    norm = model.get_base_model().norm
    fuse_rms_norms(model)

    def doubled(x: torch.Tensor, in_place: bool) -> torch.Tensor:
        normal = norm(x)
        gate: torch.Tensor = mlp.gate_proj(normal.mul_(2) if in_place else normal * 2)
        return gate

    factor = mlp.gate_proj.lora_A["default"].weight
    expected, found = (torch.autograd.grad(doubled(x, way).sum(), factor)[0] for way in (False, True))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


class _AnotherProduct(LlamaMLP):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x) * 1.5)
        return output


class _AnotherActivation(LlamaMLP):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.act_fn = torch.nn.Tanh()


def test_a_module_that_computes_something_else_keeps_its_own_forward() -> None:
    others = [kind(LlamaConfig(**SIZES)) for kind in (_AnotherProduct, _AnotherActivation)]
    assert fuse_gated_products(torch.nn.ModuleList(others)) == 0


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_where_there_is_no_way_back_nothing_is_marked_and_the_output_is_the_same(
    without_gradients: Any,
) -> None:
    model, x = _adapted(*KINDS[0]), _input(torch.float32)
    expected = model(x)
    fuse_rms_norms(model)
    fuse_gated_products(model)
    with without_gradients():
        torch.testing.assert_close(model(x), expected, rtol=0, atol=0)
