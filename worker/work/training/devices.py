"""What this machine trains on: device, precision, memory figures and the allocator's settings.

It decides nothing about the training itself. One process, one device.
"""

import ctypes
import resource
import sys

import psutil
import torch

# glibc's mallopt parameters (malloc.h). With the defaults every large tensor is mapped from and returned to
# the kernel, and touching its pages anew takes a tenth of a training step.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEEP_UP_TO_BYTES = 1 << 30
BF16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "bf16")


def training_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def is_good_at_bf16(device: torch.device) -> bool:
    """True where bf16 matrix products run in hardware; elsewhere they are slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in BF16_CAPABILITIES)


def weights_dtype(device: torch.device, bf16: bool | None) -> torch.dtype:
    """The precision of the frozen weights and of activations; None for `bf16` lets the device decide."""
    wanted = is_good_at_bf16(device) if bf16 is None else bf16
    return torch.bfloat16 if wanted else torch.float32


def keep_freed_memory() -> bool:
    """Let glibc keep freed tensors' memory for the next step; False where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    kept = mallopt(M_MMAP_THRESHOLD, KEEP_UP_TO_BYTES)
    return bool(kept and mallopt(M_TRIM_THRESHOLD, 2 * KEEP_UP_TO_BYTES - 1))


def round_denormals_to_zero() -> bool:
    """Let numbers below 1e-38 be zero: a CPU multiplies them a hundred times more slowly. False where it cannot.

    Threads that are started later inherit it. Softmax makes such numbers for whatever a token does not look at.
    """
    return bool(torch.set_flush_denormal(True))


def memory_bytes(device: torch.device) -> int:
    """Memory in use now: the device's own on a GPU, the process's resident set on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
