"""The base model and the adapter on it, loaded for training: safetensors only, no code from the folder."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from app.jobs.events import Emit
from app.recipes.config import TrainingConfig
from app.sentences import N_, FailureCode
from worker.work.new_tokens import trained_rows
from worker.work.protocol import JobFailed, log
from worker.work.training.attention import PACKED_ATTENTION
from worker.work.training.lora import fuse_lora_layers
from worker.work.training.norm import fuse_rms_norms


def load_base_model(
    path: Path, config: TrainingConfig, device: torch.device, dtype: torch.dtype, emit: Emit
) -> Any:
    """The frozen base model on `device`, in 4 bits where the configuration asks for it."""
    # A log file is no place for progress bars.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if not (path / "config.json").is_file():
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("The base model folder %(path)s has no config.json. Prepare the base model again."),
            path=str(path),
        )
    options: dict[str, Any] = {
        "dtype": dtype,
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
        "attn_implementation": PACKED_ATTENTION,
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
        model = _from_pretrained(path, options, emit)
    except (OSError, ValueError) as error:
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


def _from_pretrained(path: Path, options: dict[str, Any], emit: Emit) -> Any:
    model_config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    try:
        return AutoModelForCausalLM.from_pretrained(path, config=model_config, **options)
    except ValueError as error:
        if "attention" not in str(error).lower():
            raise
    log(
        emit,
        "info",
        N_("This model's architecture brings its own attention only: conversations train one at a time."),
    )
    return AutoModelForCausalLM.from_pretrained(path, **{**options, "attn_implementation": None})


def add_adapter(model: Any, config: TrainingConfig, *, end_of_turn_id: int | None = None) -> Any:
    """A fresh LoRA adapter on the frozen model; its weights are fp32 whatever the base is in.

    `end_of_turn_id` is the token whose row is trained too, where the config says so.
    """
    rows = None
    if config.trainable_tokens == "end_of_turn" and end_of_turn_id is not None:
        rows = trained_rows(model, end_of_turn_id)
    try:
        adapted = get_peft_model(
            model,
            LoraConfig(
                task_type="CAUSAL_LM",
                r=config.lora_r,
                lora_alpha=config.lora_alpha,
                lora_dropout=config.lora_dropout,
                target_modules=config.lora_target_modules,
                use_rslora=config.use_rslora,
                trainable_token_indices=rows,
            ),
        )
    except ValueError as error:
        raise JobFailed(
            FailureCode.TARGET_MODULES_MISSING,
            N_("lora_target_modules %(modules)s do not fit this base model: %(detail)s"),
            modules=str(config.lora_target_modules),
            detail=next(iter(str(error).splitlines()), "")[:300],
        ) from error
    if config.gradient_checkpointing:
        adapted.enable_input_require_grads()
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    fuse_lora_layers(adapted)
    fuse_rms_norms(adapted)
    return adapted
