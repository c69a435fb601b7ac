"""The driver's library is spoken to by its own functions; where it is absent, or knows nothing, there is no figure."""

import shutil
import subprocess
from pathlib import Path

import pytest

from worker.work.training.nvml import Nvml

# As nvml.h declares them, of a machine with one GPU.
DRIVER = """
#include <string.h>
typedef struct { unsigned int gpu, memory; } rates;
static int there;
static int begun;
int nvmlInit_v2(void) { begun = 1; return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    if (!begun) return 1;
    if (strcmp(uuid, "GPU-5a1f")) return 6;
    *device = &there;
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, rates *found) {
    if (device != &there) return 2;
    found->gpu = 87;
    found->memory = 31;
    return 0;
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library with these functions, made by the machine's own compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    source, made = folder / "nvml.c", folder / "libnvidia-ml.so.1"
    source.write_text(DRIVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source], check=True)
    return str(made)


def test_a_gpu_is_asked_by_its_identity(driver: str) -> None:
    assert Nvml("GPU-5a1f", driver).utilization() == 87.0
    assert Nvml("GPU-0000", driver).utilization() is None


def test_without_a_driver_there_is_no_figure(tmp_path: Path) -> None:
    assert Nvml("GPU-5a1f", str(tmp_path / "none.so")).utilization() is None
