"""Model folders: several ways to hold a template, and which file is at fault."""

from pathlib import Path
from typing import Any

import pytest

from app.masking import ChatTokenizer, MaskingError


def test_folders_hold_templates_in_several_ways(smollm2_folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    config = json.loads((smollm2_folder / "tokenizer_config.json").read_text())
    shutil.copy(smollm2_folder / "tokenizer.json", tmp_path)
    write = (tmp_path / "tokenizer_config.json").write_text

    write(json.dumps({**config, "chat_template": "one {{ messages | length }}"}))
    assert ChatTokenizer.from_folder(tmp_path, trusted=True).render([]) == "one 0"
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with tools"}]
    write(json.dumps({**config, "chat_template": named}))
    tokenizer = ChatTokenizer.from_folder(tmp_path, trusted=True)
    assert tokenizer.render([]) == "plain"
    assert tokenizer.render([], tools=[{"type": "function"}]) == "with tools"
    (tmp_path / "chat_template.jinja").write_text("the file wins")
    assert ChatTokenizer.from_folder(tmp_path, trusted=True).render([]) == "the file wins"
    pasted = ChatTokenizer.from_folder(tmp_path, chat_template="pasted", trusted=True)
    assert pasted.render([]) == "pasted"


def test_special_tokens_only_the_config_names_are_added(smollm2_folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    config = json.loads((smollm2_folder / "tokenizer_config.json").read_text())
    shutil.copytree(smollm2_folder, tmp_path / "model")
    extra = {"__type": "AddedToken", "content": "<|eot|>", "lstrip": False, "rstrip": False, "special": True}
    config |= {"eos_token": extra, "extra_special_tokens": ["<|aside|>"]}
    (tmp_path / "model" / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = ChatTokenizer.from_folder(tmp_path / "model", trusted=True)
    assert tokenizer.eos_token == "<|eot|>"
    assert {"<|eot|>", "<|aside|>"} <= tokenizer.special_tokens

    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "a<|eot|>b<|aside|>c"
    assert tokenizer.encoder.encode_many([text])[0].ids.tolist() == theirs.encode(
        text, add_special_tokens=False
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "There is no"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be read"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("[]"), "no JSON object"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
    ],
)
def test_a_folder_that_cannot_be_used_says_which_file(
    smollm2_folder: Path, tmp_path: Path, spoil: Any, words: str
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(smollm2_folder, folder)
    spoil(folder)
    with pytest.raises(MaskingError, match=words):
        ChatTokenizer.from_folder(folder)
