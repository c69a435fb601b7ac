"""A LoRA adapter that visibly changes the small model, made without training."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def adapter_folder(base_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random low-rank changes, large enough that base and tuned answer differently."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(7)
    base = AutoModelForCausalLM.from_pretrained(base_model_folder, dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    return folder
