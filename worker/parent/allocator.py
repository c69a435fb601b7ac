"""The memory allocator of a child that trains: mimalloc where its package is installed, else the C library's own.

A step makes and frees some ten thousand tensors of some hundred sizes, a different hundred for each batch. glibc keeps what was
freed in lists by size and walks through them; mimalloc has pages for each size. Numbers stay what they are.
"""

import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from typing import Final

_PACKAGE: Final = "cmeel-mimalloc"
_LIBRARY: Final = "libmimalloc.so"


def allocator_environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child's environment has in addition; nothing where another library is loaded first already, as somebody chose it."""
    if not sys.platform.startswith("linux") or inherited.get("LD_PRELOAD"):
        return {}
    library = _installed()
    # What was freed stays for the next step: pages that were given back would be fetched and cleared anew.
    return {} if library is None else {"LD_PRELOAD": library, "MIMALLOC_PURGE_DELAY": "-1"}


def _installed() -> str | None:
    try:
        known = files(_PACKAGE) or []
    except PackageNotFoundError:
        return None
    return next((str(one.locate()) for one in known if one.name == _LIBRARY), None)
