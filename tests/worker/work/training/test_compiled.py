"""The compiled loops against torch's operations, in bf16: number by number, and as parts of a model's pass."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import LlamaConfig
from transformers.models.cohere import modeling_cohere
from transformers.models.cohere.modeling_cohere import CohereLayerNorm
from transformers.models.llama import modeling_llama
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from tests.worker.work.training.small_models import SMALL, adapted, batch_of
from worker.work.training import attention, compiled
from worker.work.training.attention import PACKED_ATTENTION
from worker.work.training.data import Batch
from worker.work.training.forward import PackedPass
from worker.work.training.gated import SILU, fuse_gated_products, product
from worker.work.training.loss import cross_entropy_sum
from worker.work.training.norm import fuse_rms_norms
from worker.work.training.rotary import FusedRotation, fuse_rotations
from worker.work.training.trial import set_attention

# A processor of 2013, which knows of no bf16: the loops are compiled for it in another way.
OLD = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+64bit,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+popcnt,+sse4.2",
}
# All numbers that bf16 has.
EVERY_NUMBER = torch.arange(2**16).to(torch.uint16).view(torch.bfloat16)


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was before, after the test."""
    monkeypatch.setattr(compiled._Switch, "loops", None)


@pytest.fixture
def loops(switch: None) -> None:
    compiled.switch_on()


def _drawn(*shape: int, seed: int = 0, spread: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(*shape, generator=generator)).bfloat16()


def _same_numbers(found: torch.Tensor, expected: torch.Tensor) -> None:
    """To the last bit; what is no number in one is none in the other."""
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def _nearly_all_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """One number in a thousand may be its neighbour: sums in another order round otherwise."""
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=1e-6)
    assert (found != expected).sum() <= max(1, found.numel() // 1000)


def test_a_gated_product_is_torchs_for_every_number_that_bf16_has(loops: None) -> None:
    up = torch.full_like(EVERY_NUMBER, -1.5)
    finite = EVERY_NUMBER.isfinite()
    expected = functional.silu(EVERY_NUMBER) * up
    found = compiled.silu_product(EVERY_NUMBER, up)
    # At -88.5 torch still has 5e-37, where the loop has nothing left.
    torch.testing.assert_close(found[finite], expected[finite], rtol=2**-7, atol=1e-36)
    # Below that a processor's own rounding to bf16 may leave nothing.
    counts = expected.abs() >= 2 * torch.finfo(torch.bfloat16).tiny
    assert (found != expected)[finite & counts].sum() <= 8
    # Minus infinity times nothing is no number; torch says so too.
    _same_numbers(found[~finite], expected[~finite])


@pytest.mark.parametrize("shape", [(1, 7, 33), (2, 64), (0, 8)])
def test_the_gradients_of_a_gated_product_are_torchs(loops: None, shape: tuple[int, ...]) -> None:
    gate, up, gradient = _drawn(*shape, spread=4.0), _drawn(*shape, seed=1), _drawn(*shape, seed=2)
    of_gate, of_up = compiled.silu_product_back(gradient, gate, up)
    _nearly_all_same(of_up, functional.silu(gate) * gradient)
    expected = torch.ops.aten.silu_backward(gradient * up, gate)
    torch.testing.assert_close(of_gate, expected, rtol=2**-7, atol=1e-6)
    assert (of_gate != expected).sum() <= 1


@pytest.mark.parametrize("width", [1, 16, 45, 576])
def test_a_norm_and_its_gradient_are_transformers(loops: None, width: int) -> None:
    norm = LlamaRMSNorm(width, 1e-5).bfloat16().requires_grad_(False)
    torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
    x = _drawn(3, 40, width).requires_grad_()
    gradient = _drawn(3, 40, width, seed=1)
    plain = norm(x)
    (expected,) = torch.autograd.grad(plain, x, gradient)
    found, scale = compiled.norm(x, norm.weight, 1e-5)
    _nearly_all_same(found, plain)
    _same_numbers(compiled.norm_again(x, norm.weight, scale), found)
    found_back = compiled.norm_back(gradient, x, norm.weight, scale)
    assert (found_back.float() - expected.float()).norm() <= 1e-2 * expected.float().norm() + 1e-6


def test_what_lies_otherwise_in_memory_is_read_as_it_is(loops: None) -> None:
    x, weight = _drawn(24, 5, 3).transpose(0, 2), _drawn(24, seed=1)
    assert not x.is_contiguous()
    found, scale = compiled.norm(x, weight, 1e-5)
    expected, _ = compiled.norm(x.contiguous(), weight, 1e-5)
    _same_numbers(found, expected)
    gradient = _drawn(24, seed=2).expand(3, 5, 24)
    _same_numbers(
        compiled.norm_back(gradient, x, weight, scale),
        compiled.norm_back(gradient.contiguous(), x.contiguous(), weight, scale),
    )


@pytest.mark.parametrize(("rows", "seen"), [(1, 1), (5, 5), (4, 9), (16, 48), (40, 100)])
def test_shares_of_attention_are_torchs_and_nothing_looks_ahead(loops: None, rows: int, seen: int) -> None:
    heads, scaling = 3, 0.5
    scores, gradients = _drawn(2, seen, heads * rows) - 3, _drawn(2, seen, heads * rows, seed=1)
    ahead = ~torch.ones(seen, rows, dtype=torch.bool).triu(rows - seen).repeat(1, heads).expand_as(scores)
    scores[ahead], gradients[ahead] = float("inf"), float("nan")
    share = scores.exp().masked_fill(ahead, 0)
    expected = (share * gradients * scaling).masked_fill(ahead, 0)
    compiled.shares_in_place(scores, gradients, rows, seen - rows, scaling)
    _nearly_all_same(scores, share)
    _nearly_all_same(gradients, expected)
    assert not scores[ahead].any()
    assert not gradients[ahead].any()


@pytest.mark.parametrize(("rows", "seen"), [(1, 1), (5, 9), (16, 32), (40, 100)])
def test_what_attentions_way_back_multiplies_is_what_torch_makes_of_it(
    switch: None, rows: int, seen: int
) -> None:
    query, gradient, output = (_drawn(rows, 6, 16, seed=seed) for seed in range(3))
    log_sums, key = torch.randn(6, rows + 3)[:, :rows], _drawn(seen, 3, 16, seed=3)

    def made() -> tuple[torch.Tensor, ...]:
        return (
            *attention._with_sums(query, gradient, output, log_sums, 0.25),
            attention._with_ones(key),
            attention._for_each_query_head(key, 6),
        )

    expected = made()
    compiled.switch_on()
    *found, keys, spread = made()
    for own, other in zip(found, expected[:2], strict=True):
        _same_numbers(own[..., :16], other[..., :16])
        # A number and what its rounding took away: sums in another order.
        torch.testing.assert_close(own[..., 16:].sum(-1), other[..., 16:].sum(-1), rtol=1e-3, atol=1e-3)
        assert not own[:, rows:].any()
    _same_numbers(keys[:, :seen], expected[2][:, :seen])
    _same_numbers(spread, expected[3])


def test_memory_that_is_not_contiguous_is_refused(loops: None) -> None:
    scores = _drawn(2, 8, 4).transpose(1, 2)
    with pytest.raises(ValueError, match="contiguous"):
        compiled.shares_in_place(scores, scores, 4, 0, 1.0)


def test_the_parts_of_a_softmax_are_torchs(loops: None) -> None:
    logits, targets = _drawn(9, 700, spread=6.0), torch.arange(9) * 70
    highest = logits.amax(-1, keepdim=True)
    shares = (logits - highest).exp()
    own = logits.clone()
    sums, of_wanted = compiled.softmax_parts_in_place(own, targets)
    _nearly_all_same(own, shares)
    torch.testing.assert_close(sums, shares.sum(-1, dtype=torch.float32))
    _same_numbers(of_wanted, (logits.gather(1, targets[:, None]).float() - highest)[:, 0])


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none(loops: None, broken: float) -> None:
    """A run that blows up has to be seen: the trainer looks at the loss and at the gradients."""
    x, weight = _drawn(4, 32), _drawn(32, seed=1)
    x[2, 5] = broken
    assert not compiled.norm(x, weight, 1e-5)[0][2].isfinite().all()
    _, scale = compiled.norm(x, weight, 1e-5)
    assert compiled.norm_back(_drawn(4, 32, seed=2), x, weight, scale)[2].isnan().any()
    assert not compiled.silu_product(x, x).isfinite().all()
    sums, _ = compiled.softmax_parts_in_place(x.clone(), torch.zeros(4, dtype=torch.long))
    assert sums[2].isnan()
    assert sums[:2].isfinite().all()


def _figures(model: Any, batch: Batch) -> tuple[float, list[torch.Tensor]]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = PackedPass(model)(batch)
    return float(loss.detach()), list(torch.autograd.grad(loss, trained))


def test_loss_and_gradients_of_a_model_are_those_without_them(switch: None) -> None:
    model, batch = adapted(LlamaConfig(**SMALL)).bfloat16().train(), batch_of([40, 17, 300])
    set_attention(model, PACKED_ATTENTION)
    fuse_rms_norms(model)
    fuse_gated_products(model)
    plain, expected = _figures(model, batch)
    compiled.switch_on()
    loss, found = _figures(model, batch)
    again, repeated = _figures(model, batch)
    assert abs(loss - plain) <= 1e-3 * plain
    for own, other, same in zip(found, expected, repeated, strict=True):
        assert (own.float() - other.float()).norm() <= 3e-2 * other.float().norm()
        assert torch.equal(own, same)
    assert again == loss


def test_they_serve_bf16_on_a_cpu_and_nothing_else(loops: None) -> None:
    x = _drawn(2, 8)
    assert compiled.serves(x)
    assert not compiled.serves(x.float())
    assert not compiled.serves(x, x.half())
    assert not compiled.serves(x.to("meta"))
    # What they do not serve goes the other way.
    assert product(SILU, x.float(), x.float()).dtype == torch.float32
    head = torch.nn.Linear(8, 50).requires_grad_(False)
    hidden = x.float().requires_grad_()
    targets = torch.tensor([3, 4])
    expected = functional.cross_entropy(head(hidden), targets, reduction="sum")
    torch.testing.assert_close(cross_entropy_sum(hidden, head, targets), expected)


def test_only_a_model_that_wins_the_time_back_has_them_compiled(
    switch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = torch.nn.Linear(8, 8)
    assert not compiled.switch_on_for(small.bfloat16())
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 64)
    assert not compiled.switch_on_for(torch.nn.Linear(8, 8))
    assert not compiled.serves(_drawn(2, 8))
    assert compiled.switch_on_for(small.bfloat16())
    assert compiled.serves(_drawn(2, 8))


def _rotation_inputs() -> tuple[torch.Tensor, ...]:
    """Queries and keys as a layer's heads lie in memory, cosines and sines."""
    query, key = _drawn(1, 11, 4, 16).transpose(1, 2), _drawn(1, 11, 2, 16, seed=1).transpose(1, 2)
    return query.requires_grad_(), key.requires_grad_(), _drawn(1, 11, 16, seed=2), _drawn(1, 11, 16, seed=3)


@pytest.fixture
def rotating(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A module of a family whose function for rotary positions may be replaced: afterwards it is its own again."""
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", modeling_llama.apply_rotary_pos_emb)
    return LlamaRMSNorm(8)


def test_rotary_positions_and_their_gradients_are_those_of_transformers(
    loops: None, rotating: torch.nn.Module
) -> None:
    query, key, cos, sin = _rotation_inputs()
    gradients = _drawn(1, 4, 11, 16, seed=4), _drawn(1, 2, 11, 16, seed=5)
    plain = modeling_llama.apply_rotary_pos_emb(query, key, cos, sin)
    expected = torch.autograd.grad(plain, (query, key), gradients)
    assert fuse_rotations(rotating) == 1
    assert isinstance(modeling_llama.apply_rotary_pos_emb, FusedRotation)
    found = modeling_llama.apply_rotary_pos_emb(query, key, cos, sin)
    for own, other in zip(found, plain, strict=True):
        _same_numbers(own, other)
        assert own.stride()[1:] == other.stride()[1:]
    for own, other in zip(torch.autograd.grad(found, (query, key), gradients), expected, strict=True):
        _same_numbers(own, other)


def test_rotations_of_other_shapes_and_precisions_are_the_familys_own(
    loops: None, rotating: torch.nn.Module
) -> None:
    query, key, cos, sin = _rotation_inputs()
    own = modeling_llama.apply_rotary_pos_emb
    assert fuse_rotations(rotating) == 1
    fused = modeling_llama.apply_rotary_pos_emb
    two_rows = [x.repeat(2, *[1] * (x.ndim - 1)) for x in (query, key, cos, sin)]
    for inputs in ([x.float() for x in (query, key, cos, sin)], two_rows):
        for found, expected in zip(fused(*inputs), own(*inputs), strict=True):
            _same_numbers(found, expected)
    sideways = query.transpose(1, 2), key.transpose(1, 2), cos, sin
    for found, expected in zip(
        fused(*sideways, unsqueeze_dim=2), own(*sideways, unsqueeze_dim=2), strict=True
    ):
        _same_numbers(found, expected)


def test_a_family_that_rotates_otherwise_keeps_its_function() -> None:
    assert fuse_rotations(CohereLayerNorm(8)) == 0
    assert not isinstance(modeling_cohere.apply_rotary_pos_emb, FusedRotation)


@pytest.mark.skipif(OLD.items() <= os.environ.items(), reason="this is that processor")
def test_all_of_this_holds_where_the_processor_has_no_instruction_for_bf16(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", __file__]
    environment = {**os.environ, **OLD, "PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    for name in [name for name in environment if name.startswith("PYTEST_XDIST")]:
        del environment[name]
    tests = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert tests.returncode == 0, tests.stdout + tests.stderr
