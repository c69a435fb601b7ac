"""The real SmolLM2 tokenizer, and TRL's chat templates."""

import importlib.util
from pathlib import Path

import pytest

from tests.support.llama import llama3_1_folder
from tests.support.tokenizers import smollm2, smollm2_folder

__all__ = ["llama3_1_folder", "smollm2", "smollm2_folder"]
TRL_TEMPLATES = "chat_templates"


@pytest.fixture(scope="session")
def trl_templates() -> dict[str, str]:
    """TRL's chat templates by name, the training ones with the suffix `_training`."""
    found = importlib.util.find_spec("trl")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / TRL_TEMPLATES
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))}
