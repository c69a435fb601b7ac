"""The arrays that training reads: whole, and the very ones that were checked, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.masking import (
    ArraysDiffer,
    ChatTokenizer,
    MaskSettings,
    preview,
    read_arrays,
    verify,
    write_arrays,
)
from tests.support.masks import CONVERSATIONS


def test_what_is_written_is_what_the_preview_shows(smollm2: ChatTokenizer, tmp_path: Path) -> None:
    settings = MaskSettings(max_length=100)
    report, arrays = verify(smollm2, CONVERSATIONS, settings, base_model="smollm2")
    assert write_arrays(tmp_path / "masks.safetensors", arrays) == report.hash
    back = read_arrays(tmp_path / "masks.safetensors", report.hash)
    assert back.settings == settings
    assert back.base_model == "smollm2"
    for place, (_, conversation) in enumerate(CONVERSATIONS):
        ids, labels = back.sample(place)
        tokens = preview(smollm2, conversation, settings)[0]["tokens"]
        assert [token["id"] for token in tokens] == ids.tolist()
        assert [token["id"] if token["trained"] else -100 for token in tokens] == labels.tolist()
    assert list(tmp_path.iterdir()) == [tmp_path / "masks.safetensors"]


def test_the_hash_depends_on_ids_labels_and_order_only(smollm2: ChatTokenizer) -> None:
    base = verify(smollm2, CONVERSATIONS, MaskSettings())[0].hash
    assert verify(smollm2, [(n + 100, c) for n, c in CONVERSATIONS], MaskSettings())[0].hash == base
    assert verify(smollm2, CONVERSATIONS[::-1], MaskSettings())[0].hash != base
    assert verify(smollm2, CONVERSATIONS, MaskSettings(train_on="last_assistant"))[0].hash != base  # type: ignore[arg-type]


def _spoil_labels(tensors: dict[str, Any], _: dict[str, str]) -> None:
    tensors["labels"][0] = 7


def _spoil_offsets(tensors: dict[str, Any], _: dict[str, str]) -> None:
    tensors["offsets"][1] -= 1


def _drop_a_tensor(tensors: dict[str, Any], _: dict[str, str]) -> None:
    del tensors["split"]


def _change_a_type(tensors: dict[str, Any], _: dict[str, str]) -> None:
    tensors["labels"] = tensors["labels"].astype(np.int64)


def _drop_the_hash(_: dict[str, Any], metadata: dict[str, str]) -> None:
    del metadata["hash"]


@pytest.mark.parametrize(
    "spoil", [_spoil_labels, _spoil_offsets, _drop_a_tensor, _change_a_type, _drop_the_hash]
)
def test_spoiled_arrays_are_refused(smollm2: ChatTokenizer, tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "masks.safetensors"
    _, arrays = verify(smollm2, CONVERSATIONS, MaskSettings())
    metadata = {"hash": write_arrays(path, arrays), "settings": MaskSettings().to_json(), "base_model": ""}
    tensors = {name: tensor.copy() for name, tensor in load_file(path).items()}
    spoil(tensors, metadata)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ArraysDiffer):
        read_arrays(path)


def test_arrays_other_than_the_checked_ones_are_refused(smollm2: ChatTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    _, arrays = verify(smollm2, CONVERSATIONS[:2], MaskSettings())
    write_arrays(path, arrays)
    other = verify(smollm2, CONVERSATIONS, MaskSettings())[0].hash
    with pytest.raises(ArraysDiffer, match=other):
        read_arrays(path, other)
    with pytest.raises(ArraysDiffer, match="run the mask check again"):
        read_arrays(tmp_path / "missing.safetensors")
    (tmp_path / "text").write_text("no arrays")
    with pytest.raises(ArraysDiffer):
        read_arrays(tmp_path / "text")
