"""Processes that mask start with the tokenizer library's threads off, however they are started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.masking.threads import VARIABLE

ROOT = Path(__file__).parents[2]
STARTS = {
    "a command": "from app.cli import run; run(['--help'])",
    "the web application": "from app.main import create_app; create_app()",
    "a job": "from worker.work.child import main; main([])",
}


@pytest.mark.parametrize("name", sorted(STARTS))
def test_a_process_that_masks_encodes_in_threads_of_its_own(name: str, tmp_path: Path) -> None:
    code = f"{STARTS[name]}\nimport os, sys\nsys.stderr.write('<' + os.environ.get({VARIABLE!r}, '') + '>')"
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "SFT_STUDIO_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr.endswith("<false>"), done.stderr
