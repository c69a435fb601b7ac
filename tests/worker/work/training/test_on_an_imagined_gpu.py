"""Each pass of each method on tensors of a GPU without numbers: nothing is made on the processor, and nothing waits on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from app.recipes.config import TrainingConfig
from tests.support.imagined_gpu import GPU, imagined_gpu
from tests.worker.conftest import Recorder
from tests.worker.work.training.small_models import SMALL, batch_of
from worker.work.training.adapter import prepare
from worker.work.training.attention import PACKED_ATTENTION, VARLEN_ATTENTION
from worker.work.training.data import on_device
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.pieces import pieces_of
from worker.work.training.trial import set_attention

# The usual build of torch on Linux; that for processors alone cannot even imagine one.
pytestmark = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="needs torch's build for CUDA, though no GPU"
)
LENGTHS = [9, 14, 11]
METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "end of turn": {"trainable_tokens": "end_of_turn"},
    "full": {"use_peft": False},
}
BEFORE_THE_MODEL = {"data.py: needed_places", "forward.py: __call__"}


@contextmanager
def _autocast(dtype: torch.dtype) -> Iterator[None]:
    """As torch.autocast does it, which a build of torch without CUDA leaves out."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", dtype)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])
        torch.clear_autocast_cache()


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen3Config])
@pytest.mark.parametrize("method", METHODS)
def test_a_pass_stays_on_the_gpu(method: str, kind: Any) -> None:
    config = TrainingConfig(lora_r=4, lora_alpha=8, lora_dropout=0.0, **METHODS[method])
    dtype = torch.bfloat16 if config.use_peft else torch.float32
    model: Any = AutoModelForCausalLM.from_config(kind(**SMALL), dtype=dtype)  # type: ignore[no-untyped-call]
    model, _ = prepare(model, config, Recorder(), end_of_turn_id=5)
    model.train()
    with imagined_gpu(model) as gpu, _autocast(torch.bfloat16) if not config.use_peft else torch.no_grad():
        for attention in (VARLEN_ATTENTION, PACKED_ATTENTION, "sdpa"):
            assert set_attention(model, attention)
            plain = attention == "sdpa"
            tried = PlainPass(model) if plain else PackedPass(model)
            gpu.waits.clear()
            loss = tried(on_device(batch_of(LENGTHS), GPU))
            assert (loss.device, loss.dtype) == (GPU, torch.float32)
            # The plain pass picks what is trained out of each conversation's logits; the packed one knows before the model runs.
            assert plain or set(gpu.waits) == BEFORE_THE_MODEL
            assert pieces_of(tried).device == "cuda"
