"""Every kind of causal language model of the installed transformers: trained as transformers and PEFT alone would, or refused.

Two steps of the product's pass (its choice of pass, lanes, norms, attention, LoRA function) beside a plain loop. The
kinds that people try are in every test run; `make families` takes all that there are.
"""

import copy
import os
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import ParamWrapper
from torch.nn import functional

from app.recipes.config import TrainingConfig
from tests.support.said import said
from tests.worker.conftest import IGNORE_INDEX, Recorder
from tests.worker.work.training.families import FIRST, KINDS, UNBUILT, VOCABULARY, tiny_model
from worker.work.protocol import JobFailed
from worker.work.training.adapter import lora_config, prepare
from worker.work.training.data import pack
from worker.work.training.forward import PackedPass
from worker.work.training.lanes import in_lanes
from worker.work.training.modules import linear_modules
from worker.work.training.trial import Trial, choose_pass

# No causal models as they come.
_LOOK_AHEAD = """bert bert-generation big_bird camembert cpmant data2vec-text electra ernie megatron-bert rembert roberta
    roberta-prelayernorm roc_bert roformer xlm xlm-roberta xlm-roberta-xl xlnet xmod"""
# What is refused, and by which words.
REFUSED = {
    **dict.fromkeys(_LOOK_AHEAD.split(), "sees the tokens that it has to predict"),
    "recurrent_gemma": "keeps its state",
    "reformer": "cannot be trained here",
}
# Whose conversations train side by side, what they share at their beginnings once: a slower way for one of these is a defect.
_PACKED = """deepseek_v2 deepseek_v3 ernie4_5 ernie4_5_moe exaone4 gemma gemma3 gemma3_text gemma4 gemma4_text glm glm4 glm4_moe
    gpt2 gpt_neox llama ministral3 mistral mixtral olmo olmo2 olmo3 olmoe phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe seed_oss
    smollm3 starcoder2"""
PACKED = set(_PACKED.split())
CONFIG = TrainingConfig(lora_r=4, lora_alpha=8, lora_dropout=0.0, per_device_train_batch_size=4)
CONFIGS = {
    "lora": CONFIG,
    "rslora": CONFIG.model_copy(update={"use_rslora": True}),
    "dora": CONFIG.model_copy(update={"use_dora": True}),
    "full": CONFIG.model_copy(update={"use_peft": False}),
}
# One of each way to be built: plain, transposed layers, stacked experts, recurrent beside attention, with a tower beside it,
# without the experts that others of its kind have.
_OTHER_METHODS = ["llama", "gpt2", "mixtral", "qwen3_next", "fuyu", "beam"]
Step = tuple[float, list[torch.Tensor | None]]


class Samples(list[dict[str, Any]]):
    """Conversations as the trainer has them."""


def conversations() -> Samples:
    """Two of them, which come into one lane, begin alike."""
    numbers = np.random.default_rng(5)
    found = Samples()
    for index, length in enumerate([9, 23, 19, 31]):
        ids = numbers.integers(3, VOCABULARY, length)
        if length == 19:
            ids[:17] = found[1]["input_ids"][:17]
        labels = np.where(np.arange(length) < length // 3, IGNORE_INDEX, ids)
        found.append({"index": index, "input_ids": ids, "labels": labels})
    return found


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def start(model: Any) -> torch.optim.Optimizer:
    """The same adapter, one that does something already, and an optimizer for what is trained."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in trained(model):
        if "lora_A" in name or "lora_B" in name:
            parameter.data.normal_(generator=generator, std=0.15)
    # Not Adam's for a whole model or DoRA's magnitudes: it makes whole steps of gradients that are nothing but rounding.
    magnitudes = any("lora_magnitude" in name for name, _ in trained(model))
    kind = torch.optim.AdamW if isinstance(model, PeftModel) and not magnitudes else torch.optim.SGD
    return kind([p for _, p in trained(model)], lr=1e-2)


def step(model: Any, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> Step:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [None if p.grad is None else p.grad.clone() for _, p in trained(model)]
    optimizer.step()
    return loss.item(), gradients


def plain_steps(model: Any, config: TrainingConfig, samples: Samples) -> tuple[list[Step], list[str]]:
    """transformers and PEFT without a line of ours; the names are of what the loss reaches."""
    if config.use_peft:
        adapted: Any = get_peft_model(model, lora_config(model, linear_modules(model), config, Recorder()))
    else:
        adapted = model.requires_grad_(True)
    optimizer = start(adapted.eval())

    def mean() -> torch.Tensor:
        total, count = torch.zeros(()), 0
        for sample in samples:
            ids, labels = torch.tensor(sample["input_ids"])[None], torch.tensor(sample["labels"])[1:]
            logits = adapted(input_ids=ids, use_cache=False).logits[0, :-1].float()
            total = total + functional.cross_entropy(
                logits, labels, ignore_index=IGNORE_INDEX, reduction="sum"
            )
            count += int((labels != IGNORE_INDEX).sum())
        return total / count

    return [step(adapted, optimizer, mean()) for _ in range(2)], [name for name, _ in trained(adapted)]


def our_steps(
    model: Any, config: TrainingConfig, samples: Samples, emit: Recorder
) -> tuple[list[Step], list[str], bool]:
    adapted, _ = prepare(model, config, emit)
    trial = Trial.of(samples, VOCABULARY, torch.device("cpu"))  # type: ignore[arg-type]
    chosen = choose_pass(adapted, trial, torch.float32, emit)
    optimizer = start(adapted)
    torch.set_num_threads(2)
    try:
        lengths = [len(sample["input_ids"]) for sample in samples]
        loss_pass = in_lanes(chosen, adapted, config, torch.device("cpu"), lengths)
    finally:
        torch.set_num_threads(1)
    count = sum(int((sample["labels"][1:] != IGNORE_INDEX).sum()) for sample in samples)
    steps = [step(adapted, optimizer, loss_pass(pack(list(samples))) / count) for _ in range(2)]
    shares = isinstance(chosen, PackedPass) and chosen.shares_from is not None
    return steps, [name for name, _ in trained(adapted)], shares


def reaches_experts(model: Any) -> bool:
    """Whether PEFT, told "all-linear", adapts tensors that hold many experts."""
    lora = LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
    try:
        adapted = get_peft_model(copy.deepcopy(model), lora)
    except ValueError:  # layers of Mamba, which the studio leaves out
        return False
    return any(isinstance(module, ParamWrapper) for module in adapted.modules())


def without_towers(
    steps: list[Step], names: list[str], trained_by_us: list[str]
) -> tuple[list[Step], list[str]]:
    """What sees and hears is not trained by us, and no loss reaches it either: a weight that one does reach stays."""
    reached = {
        name
        for _, gradients in steps
        for name, found in zip(names, gradients, strict=True)
        if found is not None
    }
    kept = [index for index, name in enumerate(names) if name in reached or name in trained_by_us]
    return [(loss, [gradients[index] for index in kept]) for loss, gradients in steps], [
        names[index] for index in kept
    ]


def apart(found: list[torch.Tensor | None], wanted: list[torch.Tensor | None]) -> float:
    """The norm of the difference of all gradients, relative; None counts as zeros."""
    pairs = [
        (own, other) for own, other in zip(found, wanted, strict=True) if own is not None or other is not None
    ]
    full = [
        (torch.zeros_like(other) if own is None else own, torch.zeros_like(own) if other is None else other)  # type: ignore[arg-type]
        for own, other in pairs
    ]
    difference = sum(float((own - other).square().sum()) for own, other in full)
    return (difference / sum(float(other.square().sum()) for _, other in full)) ** 0.5


def test_the_kinds_are_those_of_the_transformers_that_all_were_tried_with() -> None:
    # After an update: `make families`, then what is new into FIRST or one of the lists, and the number here.
    assert len(KINDS) == 189
    assert set(KINDS) >= {*FIRST, *UNBUILT, *REFUSED, *PACKED}


ALL = bool(os.environ.get("ALL_FAMILIES"))
CASES = [(kind, "lora") for kind in (KINDS if ALL else FIRST)]
CASES += [
    (kind, method) for kind in (KINDS if ALL else _OTHER_METHODS) for method in CONFIGS if method != "lora"
]


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_kind_of_model_trains_as_transformers_and_peft_train_it_or_is_refused(
    kind: str, method: str, emit: Recorder
) -> None:
    if kind in UNBUILT:
        with pytest.raises(UNBUILT[kind]):
            tiny_model(kind)
        return
    model, samples = tiny_model(kind), conversations()
    plain = copy.deepcopy(model)
    if kind in REFUSED:
        with pytest.raises(JobFailed, match=REFUSED[kind]):
            our_steps(model, CONFIGS[method], samples, emit)
        return
    if method == "dora" and reaches_experts(plain):
        with pytest.raises(JobFailed, match="DoRA"):
            our_steps(model, CONFIGS[method], samples, emit)
        return
    found, names, packed = our_steps(model, CONFIGS[method], samples, emit)
    wanted, plain_names = plain_steps(plain, CONFIGS[method], samples)
    if method == "full":
        wanted, plain_names = without_towers(wanted, plain_names, names)
    assert names == plain_names
    for own, other in zip(found, wanted, strict=True):
        assert own[0] == pytest.approx(other[0], rel=2e-5)
        assert apart(own[1], other[1]) < 2e-4
    assert packed or kind not in PACKED, [said(event) for event in emit.of("log")]
