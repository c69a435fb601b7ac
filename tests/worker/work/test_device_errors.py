"""What CUDA, its libraries and torch say when a GPU fails, word for word, and what a person reads of it."""

from pathlib import Path

import pytest

from worker.work.child import explain
from worker.work.device_errors import breaks_off, device_failure

SAID = {
    "CUDA error: no kernel image is available for execution on the device\nSearch for it": "has no kernels for this GPU",
    "The NVIDIA driver on your system is too old (found version 11040).": "driver of the GPU is older",
    "CUDA error: CUDA driver version is insufficient for CUDA runtime version": "driver of the GPU is older",
    "CUDA error: CUDA-capable device(s) is/are busy or unavailable": "held by another program",
    "CUDA error: uncorrectable ECC error encountered": "was lost by the driver",
    "CUDA error: unspecified launch failure": "A computation on the GPU went wrong",
    "CUDA error: an illegal memory access was encountered": "A computation on the GPU went wrong",
    "CUDA error: device-side assert triggered": "A computation on the GPU went wrong",
    "No CUDA GPUs are available": "was lost by the driver",
    "NCCL error in: /pytorch/NCCLUtils.hpp:50, unhandled cuda error": "A computation on the GPU went wrong",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`": "A computation on the GPU went wrong",
}
NO_MEMORY = (
    "CUDA error: out of memory",
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
)


@pytest.mark.parametrize("said", SAID)
def test_a_failure_of_the_gpu_is_a_sentence_of_its_own(said: str, tmp_path: Path) -> None:
    failed = explain(RuntimeError(said), tmp_path, trains=True)
    assert (failed.code, SAID[said] in failed.sentence.english()) == ("device_failed", True)
    assert said.splitlines()[0].rstrip(".") in failed.sentence.english()
    # A kernel that the build lacks is missed again and again, and harms nothing else.
    assert breaks_off(RuntimeError(said)) is ("no kernel image" not in said)


@pytest.mark.parametrize("said", NO_MEMORY)
def test_a_full_gpu_is_a_matter_of_memory_whoever_says_it(said: str, tmp_path: Path) -> None:
    assert explain(RuntimeError(said), tmp_path, trains=True).code == "out_of_memory"


def test_what_no_gpu_says_is_none_of_its_failures() -> None:
    assert device_failure(ValueError("FlashAttention only supports Ampere GPUs or newer.")) is None
    assert not breaks_off(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
