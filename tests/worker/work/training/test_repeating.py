"""A run made again has the same numbers on a GPU, or says why not."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.small_models import SMALL, adapted, trial_of
from worker.work.training.forward import PackedPass
from worker.work.training.repeating import repeat_exactly
from worker.work.training.trial import choose_pass

GPU = torch.device("cuda", 0)
pytestmark = pytest.mark.usefixtures("as_before")


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_on_a_gpu_torch_is_told_to_add_up_in_a_fixed_order() -> None:
    repeat_exactly(torch.device("cpu"))
    assert not torch.are_deterministic_algorithms_enabled()
    repeat_exactly(GPU)
    # With warnings in place of errors, attention would keep its quicker way back.
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_an_operation_without_a_form_that_repeats_is_told_and_the_run_goes_on(emit: Recorder) -> None:
    model: Any = adapted(LlamaConfig(**SMALL), packed=False)
    inner = model.get_base_model().model.norm.forward

    def scattered(hidden: torch.Tensor) -> torch.Tensor:
        # torch has none of this one, on a CPU either.
        torch.zeros(4).put_(torch.tensor([1]), torch.tensor([1.0]))
        return inner(hidden)

    model.get_base_model().model.norm.forward = scattered
    repeat_exactly(GPU)
    chosen = choose_pass(model, trial_of([9, 14, 11]), torch.float32, emit)
    assert isinstance(chosen, PackedPass)
    (told,) = [said(event) for event in emit.of("log")]
    assert ("put_" in told, "may differ by rounding" in told) == (True, True)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_model_of_operations_that_repeat_keeps_to_them(emit: Recorder) -> None:
    repeat_exactly(GPU)
    choose_pass(adapted(LlamaConfig(**SMALL), packed=False), trial_of([9, 14, 11]), torch.float32, emit)
    assert emit.of("log") == []
    assert torch.are_deterministic_algorithms_enabled()
