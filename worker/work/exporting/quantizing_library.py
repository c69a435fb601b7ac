"""llama.cpp's library as a quantizer: a program of its own, started by `quantizing.py`, with nothing but the standard library.

`python quantizing_library.py LIBRARY SOURCE TARGET FILE_TYPE THREADS`; ends with 1 where the library says no, with 2 where it is
none. What the library tells of its progress goes to standard error.
"""

import ctypes
import os
import sys
import threading
from typing import Final

# `llama_model_quantize_params` grows at its end and is handed by its address: room for more than any release has had.
_ROOM: Final = 4096


class Parameters(ctypes.Structure):
    """As far as it is set here: how many threads, and llama.cpp's number of the file type. The rest stays as the library fills it."""

    _fields_ = (
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int32),
        ("rest", ctypes.c_byte * _ROOM),
    )


def main(arguments: list[str]) -> int:
    """The exit code."""
    path, source, target, kind, threads = arguments
    try:
        library = ctypes.CDLL(path)
        defaults, quantize = library.llama_model_quantize_default_params, library.llama_model_quantize
    except (OSError, AttributeError) as error:
        print(f"error: {path} cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return 2
    defaults.restype, defaults.argtypes = Parameters, ()
    quantize.restype = ctypes.c_uint32
    quantize.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters))
    parameters: Parameters = defaults()
    parameters.nthread, parameters.ftype = int(threads), int(kind)
    return int(quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(parameters)) != 0)


def _end_with_the_owner() -> None:
    """Whoever started this holds its standard input open. Read without Python's buffers, whose lock would outlive `main`."""
    while os.read(0, 4096):
        pass
    os._exit(3)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_owner, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
