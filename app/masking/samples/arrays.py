"""The arrays training reads, in one safetensors file that carries the hash of its own ids, labels and
offsets.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from app.files import file_sha256
from app.masking.errors import ArraysDiffer
from app.masking.settings import MaskSettings
from app.sentences import N_

_TYPES = {
    "input_ids": np.int32,
    "labels": np.int32,
    "offsets": np.int64,
    "conversation_ids": np.int64,
    "split": np.int8,
}


class Split(IntEnum):
    """What a sample is for, as the arrays spell it. `MIXED_VALIDATION`: held out of a second set that is mixed in."""

    TRAIN = 0
    VALIDATION = 1
    MIXED_VALIDATION = 2


@dataclass(frozen=True)
class MaskArrays:
    """`input_ids` and `labels` int32[total]; sample i is [offsets[i], offsets[i+1]); `split` a `Split` for each."""

    input_ids: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    conversation_ids: npt.NDArray[np.int64]
    split: npt.NDArray[np.int8]
    settings: MaskSettings
    base_model: str
    hash: str

    def __len__(self) -> int:
        return len(self.conversation_ids)

    def sample(self, index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The ids and labels of one sample."""
        kept = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return self.input_ids[kept], self.labels[kept]

    def places(self, split: Split) -> npt.NDArray[np.int64]:
        """Which samples are of this split, in the order of the arrays."""
        return np.flatnonzero(self.split == split).astype(np.int64)


def arrays_hash(
    input_ids: npt.NDArray[np.int32], labels: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]
) -> str:
    """sha256 over the little-endian bytes of the three arrays, in this order."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(input_ids, dtype="<i4").tobytes())
    digest.update(np.ascontiguousarray(labels, dtype="<i4").tobytes())
    digest.update(np.ascontiguousarray(offsets, dtype="<i8").tobytes())
    return digest.hexdigest()


class ArraysBuilder:
    """Joins samples in the order they are added;
    conversations in `validation_ids` go to the validation split.
    """

    def __init__(
        self, settings: MaskSettings, base_model: str, validation_ids: frozenset[int] = frozenset()
    ) -> None:
        self.settings = settings
        self.base_model = base_model
        self.validation_ids = validation_ids
        self.ids: list[npt.NDArray[np.int32]] = []
        self.labels: list[npt.NDArray[np.int32]] = []
        self.conversation_ids: list[int] = []

    def add(
        self, conversation_id: int, input_ids: npt.NDArray[np.int32], labels: npt.NDArray[np.int32]
    ) -> None:
        self.conversation_ids.append(conversation_id)
        self.ids.append(input_ids)
        self.labels.append(labels)

    def finish(self) -> MaskArrays:
        offsets = np.zeros(len(self.ids) + 1, dtype=np.int64)
        np.cumsum([len(one) for one in self.ids], out=offsets[1:])
        empty = np.zeros(0, dtype=np.int32)
        ids = np.concatenate([empty, *self.ids]).astype(np.int32, copy=False)
        labels = np.concatenate([empty, *self.labels]).astype(np.int32, copy=False)
        split = [
            Split.VALIDATION if one in self.validation_ids else Split.TRAIN for one in self.conversation_ids
        ]
        return MaskArrays(
            ids,
            labels,
            offsets,
            np.array(self.conversation_ids, dtype=np.int64),
            np.array(split, dtype=np.int8),
            self.settings,
            self.base_model,
            arrays_hash(ids, labels, offsets),
        )


class ArraysHash:
    """The hash that the arrays of these samples would have, without holding them: labels wait in a file, for
    they are hashed after all ids. Use it in a `with` block.
    """

    CHUNK_BYTES = 1 << 20

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._labels = tempfile.SpooledTemporaryFile(max_size=self.CHUNK_BYTES)  # noqa: SIM115 - closed by __exit__
        self._offsets = tempfile.SpooledTemporaryFile(max_size=self.CHUNK_BYTES)  # noqa: SIM115 - closed by __exit__
        self._end = 0
        self._offsets.write(np.array([0], dtype="<i8").tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._labels.close()
        self._offsets.close()

    def add(
        self, _conversation_id: int, input_ids: npt.NDArray[np.int32], labels: npt.NDArray[np.int32]
    ) -> None:
        self._digest.update(np.ascontiguousarray(input_ids, dtype="<i4").tobytes())
        self._labels.write(np.ascontiguousarray(labels, dtype="<i4").tobytes())
        self._end += len(input_ids)
        self._offsets.write(np.array([self._end], dtype="<i8").tobytes())

    def finish(self) -> str:
        """As `arrays_hash`; nothing may be added after it."""
        for file in (self._labels, self._offsets):
            file.seek(0)
            while chunk := file.read(self.CHUNK_BYTES):
                self._digest.update(chunk)
        return self._digest.hexdigest()


def write_arrays(path: Path | str, arrays: MaskArrays) -> str:
    """Write the file beside its final name and move it there, so it is complete or absent. Returns the hash."""
    path = Path(path)
    tensors = {name: np.ascontiguousarray(getattr(arrays, name), dtype=kind) for name, kind in _TYPES.items()}
    digest = arrays_hash(arrays.input_ids, arrays.labels, arrays.offsets)
    metadata = {"hash": digest, "settings": arrays.settings.to_json(), "base_model": arrays.base_model}
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with waiting.open("wb") as file:
            file.write(save(tensors, metadata=metadata))
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
    return digest


def read_arrays(
    path: Path | str, expected_hash: str | None = None, *, expected_file_hash: str | None = None
) -> MaskArrays:
    """Read and verify. Raises ArraysDiffer when a shape, the file's own hash or `expected_hash` does not
    fit. `expected_file_hash` also covers what is no id or label, such as which samples are held out.
    """
    path = Path(path)
    if not path.is_file():
        raise ArraysDiffer(N_("There is no mask arrays file %(path)s; run the mask check again."), path=path)
    if expected_file_hash and file_sha256(path) != expected_file_hash:
        raise ArraysDiffer(
            N_("The file %(path)s was changed after the mask check wrote it; run the mask check again."),
            path=path,
        )
    try:
        with safe_open(str(path), framework="np") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in _TYPES}
    except (SafetensorError, OSError) as error:
        raise ArraysDiffer(
            N_("%(path)s is not a mask arrays file: %(reason)s"), path=path, reason=error
        ) from error
    _require_shapes(path, tensors)
    found = arrays_hash(tensors["input_ids"], tensors["labels"], tensors["offsets"])
    for expected in (metadata.get("hash"), expected_hash if expected_hash is not None else found):
        if found != expected:
            raise ArraysDiffer(
                N_(
                    "The arrays in %(path)s are not the checked ones: their hash is %(found)s, expected "
                    "%(expected)s."
                ),
                path=path,
                found=found,
                expected=expected,
            )
    return MaskArrays(
        **tensors,
        settings=MaskSettings.from_json(metadata.get("settings", "{}")),
        base_model=metadata.get("base_model", ""),
        hash=found,
    )


def _require_shapes(path: Path, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
    samples = len(tensors["conversation_ids"])
    offsets = tensors["offsets"]
    fits = (
        all(tensors[name].dtype == kind and tensors[name].ndim == 1 for name, kind in _TYPES.items())
        and len(tensors["input_ids"]) == len(tensors["labels"])
        and len(tensors["split"]) == samples
        and len(offsets) == samples + 1
        and int(offsets[0]) == 0
        and int(offsets[-1]) == len(tensors["input_ids"])
        and bool(np.all(np.diff(offsets) >= 0))
    )
    if not fits:
        raise ArraysDiffer(N_("The arrays in %(path)s do not fit together."), path=path)
