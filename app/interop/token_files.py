"""Checked arrays in the two forms in which trainers take data that is tokenized already."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from app.masking import MaskArrays

COLUMNS: Final = {"input_ids": "int32", "attention_mask": "int8", "labels": "int32"}
_SCHEMA: Final = pa.schema([(name, pa.list_(pa.type_for_alias(kind))) for name, kind in COLUMNS.items()])
# So many samples exist twice in memory at a time.
_AT_A_TIME: Final = 1024
ARROW_FILE: Final = "data-00000-of-00001.arrow"


def write_parquet(path: Path, arrays: MaskArrays, places: npt.NDArray[np.int64]) -> None:
    """The samples at `places`, in this order: list columns `input_ids`, `attention_mask` (all 1) and `labels`."""
    with pyarrow.parquet.ParquetWriter(path, _SCHEMA) as writer:
        for batch in _batches(arrays, places):
            writer.write_batch(batch)


def write_arrow_folder(folder: Path, arrays: MaskArrays, splits: dict[str, npt.NDArray[np.int64]]) -> None:
    """The same as a folder that `datasets.load_from_disk` reads, a dataset for each split."""
    folder.mkdir(parents=True)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}), "utf-8")
    for name, places in splits.items():
        _write_split(folder / name, arrays, places)


def _write_split(folder: Path, arrays: MaskArrays, places: npt.NDArray[np.int64]) -> None:
    folder.mkdir()
    features = {
        name: {"feature": {"dtype": kind, "_type": "Value"}, "_type": "List"}
        for name, kind in COLUMNS.items()
    }
    schema = _SCHEMA.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    with (
        pa.OSFile(str(folder / ARROW_FILE), "wb") as file,
        pa.ipc.new_stream(file, schema) as writer,
    ):
        for batch in _batches(arrays, places):
            writer.write_batch(batch)
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    # Caches of what tools derive from the data are found by it: other data must have another.
    fingerprint = hashlib.sha256(arrays.hash.encode() + places.tobytes()).hexdigest()[:16]
    state: dict[str, Any] = {
        "_data_files": [{"filename": ARROW_FILE}],
        "_fingerprint": fingerprint,
        "_format_columns": list(COLUMNS),
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    for name, value in (("dataset_info.json", info), ("state.json", state)):
        (folder / name).write_text(json.dumps(value, indent=2), "utf-8")


def _batches(arrays: MaskArrays, places: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(places), _AT_A_TIME):
        samples = [arrays.sample(int(place)) for place in places[start : start + _AT_A_TIME]]
        offsets = np.cumsum([0, *(len(ids) for ids, _ in samples)], dtype=np.int32)
        ids, labels = (np.concatenate(column) for column in zip(*samples, strict=True))
        values = (ids, np.ones(len(ids), dtype=np.int8), labels)
        columns = [pa.ListArray.from_arrays(pa.array(offsets), pa.array(column)) for column in values]
        yield pa.record_batch(columns, schema=_SCHEMA)
