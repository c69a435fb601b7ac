"""The base model, loaded for training as transformers loads it: safetensors only, no code from the folder."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from app.recipes.config import TrainingConfig
from app.sentences import N_, FailureCode
from worker.work.model_folders import require_base_model
from worker.work.protocol import JobFailed


def load_base_model(path: Path, config: TrainingConfig, device: torch.device, dtype: torch.dtype) -> Any:
    """The base model on `device`: frozen weights in `dtype` or in 4 bits, those of a full fine-tune in fp32."""
    # A log file is no place for progress bars.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    require_base_model(path)
    options: dict[str, Any] = {
        "dtype": dtype if config.use_peft else torch.float32,
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
    }
    if config.load_in_4bit:
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        options["device_map"] = {"": device}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        if "Unrecognized configuration class" in str(error):
            raise JobFailed(
                FailureCode.MODEL_UNUSABLE,
                N_(
                    "The base model at %(path)s is of a kind that transformers knows no causal language model for: "
                    "choose another base model."
                ),
                path=str(path),
            ) from error
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The base model at %(path)s cannot be loaded: %(detail)s"),
            path=str(path),
            detail=next(iter(str(error).splitlines()), type(error).__name__)[:300],
        ) from error
    model.config.use_cache = False
    if not config.load_in_4bit:
        return model.to(device)
    keep_four_bits_trainable(model)
    return model


def keep_four_bits_trainable(model: Any) -> None:
    """Forbid bitsandbytes to repack weights on a CPU when the model is evaluated.

    Measured with 0.50: once repacked for inference, a layer computes without autograd for good, and no
    gradient reaches the adapters before it, although the loss looks right.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
