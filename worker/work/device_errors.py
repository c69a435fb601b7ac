"""What CUDA says when a GPU fails, as a sentence. Known by its words: nothing has to be imported to fail."""

from typing import Final

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

_OF_THE_BUILD: Final = N_(
    "The installed build of torch has no kernels for this GPU, which is too old or too new for it (%(detail)s). Install the build of "
    "torch that was made for it, or start with device cpu."
)
_OF_THE_DRIVER: Final = N_(
    "The driver of the GPU is older than what torch was built for (%(detail)s). Update the driver, or install the build of torch for the "
    "CUDA that it knows."
)
_TAKEN: Final = N_(
    "The GPU is held by another program (%(detail)s). Let that end, or set the GPU's compute mode to default, and start again."
)
_LOST: Final = N_(
    "The GPU failed or was lost by the driver (%(detail)s). nvidia-smi and the system's log (Xid) say why; mostly the machine has to be "
    "started anew. A run goes on from its newest checkpoint."
)
_WENT_WRONG: Final = N_(
    "A computation on the GPU went wrong (%(detail)s), and what this process had there is gone. Go on from the newest checkpoint; where "
    "it happens again at the same step, set use_liger_kernel and load_in_4bit to false, or start with device cpu."
)
# Words of CUDA's runtime, of cuBLAS and of torch for each; the first that is met counts.
_SAY_BUILD: Final = ("no kernel image is available", "not compatible with the current pytorch")
_SAY_DRIVER: Final = (
    "driver version is insufficient",
    "driver on your system is too old",
    "unsupported ptx version",
)
_SAY_TAKEN: Final = ("busy or unavailable", "exclusive")
_SAY_LOST: Final = (
    "gpu is lost",
    "uncorrectable",
    "no cuda-capable device",
    "no cuda gpus are available",
    "invalid device ordinal",
    "hardware stack error",
    "unknown error",
    "device is not ready",
    "nvlink",
    "system not yet initialized",
)
_SAY_WRONG: Final = ("cuda error", "cublas_status", "cudnn_status", "nccl error", "cuda driver error")


def device_failure(error: Exception) -> JobFailed | None:
    """The failure in a sentence, where it is the GPU's, its driver's or its build's."""
    said = str(error).lower()
    if _one_of(_SAY_BUILD, said):
        message = _OF_THE_BUILD
    elif _one_of(_SAY_DRIVER, said):
        message = _OF_THE_DRIVER
    elif _one_of(_SAY_TAKEN, said):
        message = _TAKEN
    elif _one_of(_SAY_LOST, said):
        message = _LOST
    elif _one_of(_SAY_WRONG, said):
        message = _WENT_WRONG
    else:
        return None
    detail = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return JobFailed(FailureCode.DEVICE_FAILED, message, detail=detail[:200].rstrip("."))


def _one_of(words: tuple[str, ...], said: str) -> bool:
    return any(word in said for word in words)


def breaks_off(error: Exception) -> bool:
    """Whether nothing more can be computed in this process after it; a kernel that a build lacks is another matter."""
    failed = device_failure(error)
    return failed is not None and failed.sentence.template != _OF_THE_BUILD
