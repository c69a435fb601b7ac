"""A hostile model folder is refused by the file that makes it so, and what is plain is taken."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from worker.work.model_folders import check_model_folder, require_own_files
from worker.work.protocol import JobFailed

WEIGHTS = {"w": torch.zeros(2)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a folder needs to be looked at: a configuration and weights in two files with their index."""
    made = tmp_path / "models" / "small"
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")
    for number in (1, 2):
        save_file(WEIGHTS, made / f"model-{number}.safetensors")
    _name(made, "model-1.safetensors", "model-2.safetensors")
    outside = tmp_path / "outside"
    outside.mkdir()
    save_file(WEIGHTS, outside / "real.safetensors")
    (outside / "file.txt").write_text("x")
    return made


def _name(folder: Path, *files: object) -> None:
    index = {"weight_map": {f"w{place}": file for place, file in enumerate(files)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _link(name: str, target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(folder / target)


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    return write


def _torch_file(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(WEIGHTS, folder / name)

    return write


def test_a_plain_folder_is_taken(folder: Path) -> None:
    check_model_folder(folder)


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (lambda folder: _name(folder, "../../outside/real.safetensors"), "names the weights “../../outside"),
        (lambda folder: _name(folder, str(folder.parent / "x.safetensors")), "not a .safetensors file"),
        (lambda folder: _name(folder, "model-1.safetensors", "gone.safetensors"), "“gone.safetensors”"),
        (lambda folder: _name(folder, "config.json"), "“config.json”"),
        (lambda folder: _name(folder, 7), "“7”"),
        (lambda folder: _name(folder), "names no weights"),
        (_write("model.safetensors.index.json", b"[" * 200_000), "not a JSON object"),
        (_write("model.safetensors.index.json", b"\xff\xfe"), "not a JSON object"),
        (_write("config.json", b'{"transformers_weights": "sub/w.bin"}'), "config.json names the weights"),
        (_write("config.json", b"[]"), "config.json is not a JSON object"),
        (_write("other.safetensors", b"not at all"), "other.safetensors is damaged"),
        (_torch_file("sub/w.bin"), "sub/w.bin holds pickled data"),
        (_write("sub/notes.txt", pickle.dumps({})), "sub/notes.txt holds pickled data"),
        (_torch_file("model-1.safetensors"), "model-1.safetensors holds pickled data"),
        (_link("tokenizer.json", "../../outside/file.txt"), "tokenizer.json is a link that leads out"),
        (_link("sub", "../../outside"), "sub is a link that leads out"),
        (_link("loop", "loop"), "loop is a link that leads out"),
        (_link("gone", "nowhere"), "gone cannot be read"),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe is no plain file"),
        (_write("adapter_config.json", b"{}"), "holds an adapter"),
    ],
)
def test_whatever_leads_elsewhere_or_is_no_safetensors_is_refused_by_name(
    folder: Path, breaks: Callable[[Path], None], words: str
) -> None:
    breaks(folder)
    with pytest.raises(JobFailed) as refused:
        check_model_folder(folder)
    assert words in str(refused.value)


def test_links_within_the_folder_and_into_the_hubs_own_cache_are_taken(folder: Path, tmp_path: Path) -> None:
    (folder / "again.json").symlink_to("config.json")
    check_model_folder(folder)
    model = tmp_path / "models--org--name"
    snapshot = model / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    (model / "blobs" / "1234").write_text("{}")
    (snapshot / "tokenizer.json").symlink_to("../../blobs/1234")
    require_own_files(snapshot)
    (model / "blobs" / "1234").unlink()
    (model / "blobs").rmdir()
    (model / "blobs").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "1234").write_text("{}")
    with pytest.raises(JobFailed, match="leads out"):
        require_own_files(snapshot)
