"""What another trainer reads is what the mask check proved, token for token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.interop.handing import TOOLS, HandedRun, Tool
from app.interop.writing import hand_over
from app.masking import ChatTokenizer, MaskArrays, Split
from app.recipes.config import TrainingConfig
from tests.interop.every_kind import arrays_of_every_kind
from tests.support.tokenizers import smollm2, smollm2_folder

__all__ = ["smollm2", "smollm2_folder"]
# It has tools and forgets reasoning; `make interop` goes through all.
TEMPLATES = ("qwen3",)


@pytest.fixture(scope="module")
def arrays(smollm2: ChatTokenizer) -> MaskArrays:
    return arrays_of_every_kind(smollm2, TEMPLATES)


def read_as_the_tool_does(tool: Tool, folder: Path) -> Any:
    """By the library that all of them read with: a dataset for each split."""
    import datasets

    if tool == "llamafactory":
        return datasets.load_from_disk(str(folder / "tokenized"))
    files = {path.stem: str(path) for path in folder.glob("*.parquet")}
    return datasets.load_dataset("parquet", data_files=files, cache_dir=str(folder.parent / "cache"))


def rows_of(arrays: MaskArrays, places: Any) -> list[dict[str, list[int]]]:
    found = []
    for place in places:
        ids, labels = arrays.sample(int(place))
        found.append({"input_ids": ids.tolist(), "attention_mask": [1] * len(ids), "labels": labels.tolist()})
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_read_the_checked_tokens(tool: Tool, arrays: MaskArrays, tmp_path: Path) -> None:
    train, held_out = arrays.places(Split.TRAIN), arrays.places(Split.VALIDATION)
    folder = tmp_path / "export"
    folder.mkdir()
    run = HandedRun("calls", "Calls", TrainingConfig(), "org/model", len(train), len(held_out), 512)
    done = hand_over(tool, run, arrays, folder)
    found = read_as_the_tool_does(tool, folder)
    assert found["train"].to_list() == rows_of(arrays, train)
    assert found["validation"].to_list() == rows_of(arrays, held_out)
    assert done.samples, done.held_out == (len(train), len(held_out))
    labels = [row["labels"] for row in found["train"].to_list()]
    assert done.trained_tokens == sum(label != -100 for row in labels for label in row[1:])
    assert sorted(done.files) == done.files
    assert all((folder / name).is_file() for name in done.files)


def test_other_data_are_no_cached_data(arrays: MaskArrays, tmp_path: Path) -> None:
    """Tools keep what they derive from data by the fingerprint in the folder."""
    from app.interop.token_files import write_arrow_folder

    one, other = np.arange(3), np.arange(1, 4)
    for name, places in (("a", one), ("b", one), ("c", other)):
        write_arrow_folder(tmp_path / name, arrays, {"train": places})
    states = [(tmp_path / name / "train" / "state.json").read_text() for name in "abc"]
    assert states[0] == states[1] != states[2]
