"""The RMS normalisation against transformers' own, in output and gradient, and what it may stand in for."""

from typing import Any

import pytest
import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm
from transformers.models.qwen3_5.modeling_qwen3_5 import Qwen3_5RMSNormGated

from worker.work.training.norm import fuse_rms_norms


def _frozen(kind: Any, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    norm = kind(48, 1e-5).to(dtype).requires_grad_(False)
    torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
    return norm


@pytest.mark.parametrize("kind", [LlamaRMSNorm, Qwen3RMSNorm])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_output_and_gradient_are_those_of_transformers(
    kind: Any, dtype: torch.dtype, tolerance: float
) -> None:
    norm = _frozen(kind, dtype)
    x = (3 * torch.randn(2, 5, 48)).to(dtype).requires_grad_()
    weights = torch.randn(2, 5, 48).to(dtype)
    plain = norm(x)
    (expected,) = torch.autograd.grad(plain, x, weights)
    before = x.detach().clone()
    assert fuse_rms_norms(torch.nn.Sequential(norm)) == 1
    found = norm(x)
    assert torch.equal(found, plain)
    (gradient,) = torch.autograd.grad(found, x, weights)
    assert (gradient - expected).norm() <= tolerance * expected.norm()
    assert torch.equal(x, before)


class _Gated(LlamaRMSNorm):
    """Takes a gate if it gets one, as the norms of Mamba do."""

    def forward(self, hidden_states: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        normal: torch.Tensor = super().forward(hidden_states)
        return normal if gate is None else normal * gate


def test_a_norm_that_needs_or_gets_a_gate_computes_what_it_always_did() -> None:
    needs, may = _frozen(Qwen3_5RMSNormGated, torch.float32), _frozen(_Gated, torch.float32)
    assert fuse_rms_norms(torch.nn.ModuleList([needs])) == 0
    x, gate = torch.randn(2, 5, 48), torch.randn(2, 5, 48)
    expected = may(x), may(x, gate), may(x, gate=gate)
    fuse_rms_norms(torch.nn.ModuleList([may]))
    torch.testing.assert_close((may(x), may(x, gate), may(x, gate=gate)), expected, rtol=0, atol=0)


def test_a_norm_that_computes_something_else_or_is_trained_keeps_its_own_forward() -> None:
    other = _frozen(GemmaRMSNorm, torch.float32)
    other.variance_epsilon = other.eps  # only its name differs from what would be looked for
    trained = _frozen(LlamaRMSNorm, torch.float32).requires_grad_(True)
    assert fuse_rms_norms(torch.nn.ModuleList([other, trained])) == 0
