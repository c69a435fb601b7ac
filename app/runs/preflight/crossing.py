"""What a version and the one that is mixed in hold out and train across their splits, told from the arrays of both checks."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from app.core.storage import Storage
from app.mask_checks.models import MaskCheck
from app.masking import MaskingError, find_crossings, read_arrays
from app.runs.preflight.facts import Crossings
from app.sentences import N_, Sentence

_UNREAD: Final = N_(
    "The arrays of one of the two mask checks are gone from the disk or damaged, so it is not known what crosses the two datasets."
)
# The form asks again with every change, and files of arrays are never written to.
_KEPT: Final = 32


def crossings_of(storage: Storage, check: MaskCheck, beside: MaskCheck) -> Crossings | None:
    """Reads the arrays of both: no connection may be held. None before both checks are done, and of a version with itself."""
    keys = [one.arrays_key for one in (check, beside) if one.passed is not None and one.arrays_key]
    if len(keys) < 2 or check.dataset_version_id == beside.dataset_version_id:
        return None
    own, other = (storage.path(key) for key in keys)
    try:
        return _read(own, other, (own.stat().st_mtime_ns, other.stat().st_mtime_ns))
    except (MaskingError, OSError):
        # Where the file should lie is nobody's business but the operator's.
        return Crossings(unread=Sentence(_UNREAD))


@lru_cache(maxsize=_KEPT)
def _read(own: Path, other: Path, _as_of: tuple[int, int]) -> Crossings:
    return Crossings(tuple(find_crossings(read_arrays(own), read_arrays(other))))
