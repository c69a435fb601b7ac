"""The package stays what it promises: no database, no web, no models, at import time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_importing_it_loads_only_the_standard_library() -> None:
    code = (
        "import sys, app.interchange; "
        "print([m for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names "
        "and m.split('.')[0] not in ('app', '__main__', '__mp_main__') and '_' != m[0]])"
    )
    # Without -S the packages of the environment would be importable; with it, an import of one would fail.
    command = [sys.executable, "-S", "-c", code]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
