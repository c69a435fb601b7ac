"""Where llama.cpp's quantizer is on this machine: its program `llama-quantize`, or the library that llama-cpp-python brings.

Only looked at, never loaded: what is native runs in a process of its own (`worker/work/exporting/quantizing.py`).
"""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from app.sentences import N_, FailureCode, Sentence, SentenceError

PROGRAM: Final = "llama-quantize"
SETTING: Final = "SFT_STUDIO_LLAMA_QUANTIZE"
# The package llama-cpp-python is imported by this name and keeps llama.cpp's library here.
_PACKAGE: Final = "llama_cpp"
_LIBRARIES: Final = ("lib/libllama.so", "lib/libllama.dylib", "lib/llama.dll")
_NOT_THERE: Final = N_(
    "%(setting)s names %(place)s, and there is no program %(program)s that may be started: name the program or its folder, or "
    "remove the setting."
)


@dataclass(frozen=True)
class Quantizer:
    """A program that is started, or llama.cpp's library that a process of ours loads."""

    kind: Literal["program", "library"]
    path: Path

    @property
    def name(self) -> str:
        """What people call it."""
        return PROGRAM if self.kind == "program" else "llama-cpp-python"


class NoSuchQuantizer(SentenceError):
    """The setting names what is none."""


def find_quantizer(named: Path | None) -> Quantizer | None:
    """What quantizes here; None where nothing does. `named` is the program or its folder, as the setting has it.

    Raises NoSuchQuantizer where something is named that cannot be started: another one is never taken in its place.
    """
    if named is not None and named != Path():
        place = named.expanduser().absolute()
        program = place / PROGRAM if place.is_dir() else place
        if not (program.is_file() and os.access(program, os.X_OK)):
            sentence = Sentence.of(_NOT_THERE, setting=SETTING, place=place, program=PROGRAM)
            raise NoSuchQuantizer(sentence, FailureCode.NOT_INSTALLED)
        return Quantizer("program", program)
    if found := shutil.which(PROGRAM):
        return Quantizer("program", Path(found))
    return _library()


def _library() -> Quantizer | None:
    try:
        spec = importlib.util.find_spec(_PACKAGE)
    except (ImportError, ValueError):
        return None
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    candidates = (folder / name for folder in folders for name in _LIBRARIES)
    return next((Quantizer("library", path) for path in candidates if path.is_file()), None)
