"""Copies of a run's tokens in the cache of the library `datasets`, where no erasure reaches: earlier versions let other trainers leave
them there, and whoever trains an export on this machine does so. They are told by their columns and found, never touched.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.interop.token_files import COLUMNS

# builder / config / version / hash of the code that built it
_INFOS: Final = "*/*/*/*/dataset_info.json"
_LARGEST_INFO: Final = 1_000_000


@dataclass(frozen=True)
class TokenCopy:
    """A folder of the cache that holds nothing but one such copy, and its size."""

    folder: Path
    size_bytes: int


def datasets_cache(environment: Mapping[str, str]) -> Path:
    """Where `datasets` keeps what it has read, by its own variables."""
    if named := environment.get("HF_DATASETS_CACHE"):
        return Path(named).expanduser()
    caches = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(environment.get("HF_HOME") or caches / "huggingface").expanduser() / "datasets"


def find_token_copies(environment: Mapping[str, str] = os.environ) -> list[TokenCopy]:
    """All of them, by folder. What cannot be read is passed over."""
    found = {info.parents[2] for info in datasets_cache(environment).glob(_INFOS) if _is_ours(info)}
    return [TokenCopy(folder, _size_of(folder)) for folder in sorted(found) if not folder.is_symlink()]


def to_remove(copies: list[TokenCopy]) -> list[Path]:
    """What there is to remove: a folder of the cache as a whole where it holds nothing else."""
    ours = {one.folder for one in copies}
    whole = {folder.parent for folder in ours if set(folder.parent.iterdir()) <= ours}
    return sorted(whole | {folder for folder in ours if folder.parent not in whole})


def _is_ours(info: Path) -> bool:
    """By the columns and their types, which nobody else chooses alike."""
    try:
        if info.stat().st_size > _LARGEST_INFO:
            return False
        told = json.loads(info.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    features = told.get("features") if isinstance(told, dict) else None
    if not isinstance(features, dict) or features.keys() != COLUMNS.keys():
        return False
    return all(_type_of(features[name]) == kind for name, kind in COLUMNS.items())


def _type_of(feature: Any) -> object:
    """Of the items of a list; older versions of `datasets` call it a sequence."""
    inner = feature.get("feature") if isinstance(feature, dict) else None
    return inner.get("dtype") if isinstance(inner, dict) else None


def _size_of(folder: Path) -> int:
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            yield path.lstat().st_size if not path.is_dir() else 0
        except OSError:
            continue
