"""What a run on Liger's kernels refuses before it begins; what they compute is in `make kernels` and behind the gpu mark."""

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, Qwen2Config, Qwen3Config

from app.recipes.config import TrainingConfig
from app.recipes.liger import PACKAGES
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.small_models import SMALL, adapted, batch_of, trial_of
from worker.work.protocol import JobFailed
from worker.work.training.attention import VARLEN_ATTENTION
from worker.work.training.forward import PackedPass
from worker.work.training.liger import LigerKernels, require_liger_on
from worker.work.training.pieces import adapter_code
from worker.work.training.quicker import keep_quicker_layers, milliseconds, tell_speed
from worker.work.training.sft import fitted_to_device
from worker.work.training.trial import choose_pass

LENGTHS = [9, 14, 11]
HERE = torch.cuda.is_available() and all(find_spec(module) for module in PACKAGES)


def told(emit: Recorder) -> list[str]:
    return [said(event) for event in emit.of("log")]


def test_without_a_gpu_a_run_that_asks_for_the_kernels_is_refused(emit: Recorder) -> None:
    cpu = torch.device("cpu")
    with pytest.raises(JobFailed) as refused:
        fitted_to_device(TrainingConfig(use_liger_kernel=True), cpu, emit)
    assert "use_liger_kernel" in refused.value.sentence.english()
    assert refused.value.code == "config_invalid"
    assert fitted_to_device(TrainingConfig(), cpu, emit) == TrainingConfig()


@pytest.mark.skipif(find_spec("liger_kernel") is not None, reason="Liger's kernels are installed")
def test_a_package_that_is_not_there_is_named(emit: Recorder) -> None:
    with pytest.raises(JobFailed) as refused:
        require_liger_on(torch.device("cuda"))
    missing = next(name for module, name in PACKAGES.items() if find_spec(module) is None)
    assert f"pip install {missing}" in refused.value.sentence.english()


def test_kernels_that_are_taken_off_leave_the_model_as_it_was() -> None:
    """Whatever they exchanged: forwards of single modules, numbers beside them, functions of transformers' own code."""
    model = adapted(LlamaConfig(**SMALL)).get_base_model()
    code: Any = __import__(type(model).__module__, fromlist=["x"])
    rotate, norm = code.apply_rotary_pos_emb, model.model.norm
    before = dict(vars(norm))
    kernels = LigerKernels(model)
    code.apply_rotary_pos_emb, norm.offset, norm.forward = None, 1.0, torch.relu
    kernels.take_off()
    assert code.apply_rotary_pos_emb is rotate
    assert vars(norm) == before


def test_the_adapters_layers_stay_with_whichever_code_is_quicker(emit: Recorder) -> None:
    tried, batch = PackedPass(adapted(LlamaConfig(**SMALL), dropout=0.1)), batch_of(LENGTHS)
    tried.model.eval()
    random = torch.get_rng_state()
    assert milliseconds(tried, batch) > 0
    assert torch.equal(torch.get_rng_state(), random)
    assert not tried.model.training
    for own, theirs, code in ((1.0, 2.0, "studio"), (2.0, 1.0, "peft")):
        costs = {"studio": own, "peft": theirs}
        keep_quicker_layers(
            tried, batch, emit, cost=lambda one, _, costs=costs: costs[adapter_code(one.model)]
        )  # type: ignore[misc]
        assert adapter_code(tried.model) == code
    tell_speed(1.0, 2.0, emit)
    tell_speed(2.0, 1.0, emit)
    assert ["PEFT's own code" in text or "Liger's" in text for text in told(emit)] == [True] * 3
    assert "no quicker" in told(emit)[-1]


@pytest.mark.parametrize("code", ["studio", "peft"])
def test_whose_code_was_quicker_once_is_taken_again_and_not_measured(code: Any, emit: Recorder) -> None:
    tried = PackedPass(adapted(LlamaConfig(**SMALL)))

    def never(*_: Any) -> float:
        raise AssertionError("measured again")

    keep_quicker_layers(tried, batch_of(LENGTHS), emit, kept=code, cost=never)
    assert adapter_code(tried.model) == code


def test_of_several_processes_the_first_ones_measure_counts(emit: Recorder) -> None:
    tried, own = PackedPass(adapted(LlamaConfig(**SMALL))), iter([1.0, 2.0])
    keep_quicker_layers(tried, batch_of(LENGTHS), emit, led=lambda _: False, cost=lambda *_: next(own))
    assert adapter_code(tried.model) == "peft"


@pytest.mark.gpu
@pytest.mark.skipif(not HERE, reason="needs a CUDA device, and the package liger-kernel")
@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config, Qwen3Config])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pass_on_the_kernels_is_the_plain_one(kind: Any, dtype: torch.dtype, emit: Recorder) -> None:
    model = adapted(kind(**SMALL), packed=False)
    for parameter in model.parameters():
        parameter.data = parameter.data if parameter.requires_grad else parameter.data.to(dtype)
    model.to("cuda")
    chosen = choose_pass(model, trial_of(LENGTHS, device=torch.device("cuda")), dtype, emit, liger=True)
    assert isinstance(chosen, PackedPass)
    assert chosen.summed is not None
    assert any("Liger's kernels are on" in text for text in told(emit))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", [LlamaConfig, Qwen3Config])
def test_a_row_of_several_conversations_goes_through_one_kernel(kind: Any, emit: Recorder) -> None:
    model = adapted(kind(**SMALL), packed=False)
    for parameter in model.parameters():
        parameter.data = parameter.data if parameter.requires_grad else parameter.data.bfloat16()
    model.to("cuda")
    chosen = choose_pass(model, trial_of(LENGTHS, device=torch.device("cuda")), torch.bfloat16, emit)
    assert isinstance(chosen, PackedPass)
    assert chosen.body.config._attn_implementation == VARLEN_ATTENTION
