"""How busy a GPU is, by the library of its own driver: torch asks for that through a package of its own, which nobody has to install."""

import ctypes
from contextlib import suppress
from typing import Final

# Part of every driver.
LIBRARY: Final = "libnvidia-ml.so.1"
_SUCCESS: Final = 0


class _Rates(ctypes.Structure):
    """Percent of the last moment in which the GPU computed, and in which its memory was read or written."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Nvml:
    """Asks about one GPU by its identity. What cannot be told, as of a part of a GPU (MIG), is None: it is a figure for people."""

    def __init__(self, uuid: str, library: str = LIBRARY) -> None:
        self._library: ctypes.CDLL | None = None
        self._device = ctypes.c_void_p()
        with suppress(OSError, AttributeError):
            nvml = ctypes.CDLL(library)
            asked = ctypes.c_char_p(uuid.encode()), ctypes.byref(self._device)
            if nvml.nvmlInit_v2() == _SUCCESS and nvml.nvmlDeviceGetHandleByUUID(*asked) == _SUCCESS:
                self._library = nvml

    def utilization(self) -> float | None:
        """Percent of the last moment in which the GPU computed."""
        rates = _Rates()
        if self._library is None:
            return None
        told = self._library.nvmlDeviceGetUtilizationRates(self._device, ctypes.byref(rates))
        return float(rates.gpu) if told == _SUCCESS else None
