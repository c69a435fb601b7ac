"""The part of `make kernels` that runs where Liger and Triton are: the studio's own trial, on kernels that are interpreted."""

import sys
from typing import Any

import numpy as np
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from app.masking import IGNORE_INDEX
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.small_models import adapted, trial_of
from worker.work.protocol import JobFailed
from worker.work.training.forward import PlainPass
from worker.work.training.liger import LigerKernels, require_kernels_for
from worker.work.training.trial import choose_pass, plain_figures
from worker.work.training.weights import causal_model, train_every_weight

KINDS = ("llama", "qwen2", "qwen3", "mistral", "gemma", "granite", "phi3", "olmo2", "smollm3")
VOCABULARY = 97
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LENGTHS = [9, 14, 11]


def interpret() -> None:
    """What Triton's interpreter lacks for these kernels: numbers with a comma as arguments, and functions of the GPU's library."""
    import triton.language as tl
    from triton.runtime import interpreter

    convert = interpreter._implicit_cvt

    def with_floats(value: Any) -> Any:
        if not isinstance(value, float):
            return convert(value)
        return tl.tensor(
            interpreter.TensorHandle(np.array([value], dtype=np.float32), tl.float32), tl.float32
        )

    interpreter._implicit_cvt = with_floats
    import liger_kernel.transformers.monkey_patch  # noqa: F401

    library = {"rsqrt": lambda x: tl.math.rsqrt(x), "tanh": lambda x: 2 * tl.sigmoid(2 * x) - 1}
    for name, module in list(sys.modules.items()):
        if name.startswith("liger_kernel.ops"):
            for function in library.keys() & vars(module).keys():
                setattr(module, function, library[function])


def measured(kind: str, *, whole_model: bool) -> str | None:
    """How far the pass on the kernels is from the plain one, said; what is wrong with it, or None."""
    config = CONFIG_MAPPING[kind](**SMALL)
    model = train_every_weight(_built(config)) if whole_model else adapted(config, packed=False)
    try:
        require_kernels_for(causal_model(model))
    except JobFailed as refused:
        return refused.sentence.english()
    trial, emit = trial_of(LENGTHS, VOCABULARY), Recorder()
    plain = plain_figures(PlainPass(model.eval()), trial, torch.float32, emit)
    kernels = LigerKernels(causal_model(model))
    chosen = choose_pass(model, trial, torch.float32, emit, liger=True)
    on_kernels = [one for one in causal_model(model).modules() if one._get_name().startswith("Liger")]
    if not on_kernels:
        return "; ".join(said(event) for event in emit.of("log"))
    loss = chosen(trial.short)
    found = torch.autograd.grad(loss, [one for one in model.parameters() if one.requires_grad])
    kernels.take_off()
    pairs = zip(found, plain.gradients, strict=True)
    apart = sum(float((one - other).square().sum()) for one, other in pairs if other is not None)
    whole = sum(float(one.square().sum()) for one in plain.gradients if one is not None)
    labels = trial.short["labels"]
    print(
        f"{kind}, {'every weight' if whole_model else 'adapter'}: {type(chosen).__name__}, {len(on_kernels)} modules on kernels, "
        f"{int((labels == IGNORE_INDEX).sum())} of {labels.numel()} labels untrained; loss apart by "
        f"{abs(float(loss.detach()) / plain.losses[0] - 1):.1e}, gradients by {(apart / whole) ** 0.5:.1e}",
        flush=True,
    )
    return None


def _built(config: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]


def main() -> int:
    interpret()
    cases = [(kind, False) for kind in sys.argv[1:] or KINDS]
    cases += [(sys.argv[1] if len(sys.argv) > 1 else KINDS[0], True)]
    wrong = []
    for kind, whole_model in cases:
        reason = measured(kind, whole_model=whole_model)
        if reason is not None:
            wrong.append(f"{kind}: {reason}")
    for line in wrong:
        print(f"not equal, or not taken: {line}", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
