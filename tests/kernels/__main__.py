"""`make kernels`: Liger's kernels on small models, without a GPU, beside the plain pass of the same models.

Triton's interpreter runs the very code of the kernels on a CPU, some hundred times more slowly, in an environment of its own that has
the packages of this one besides. `KINDS="llama qwen3"` picks. What a GPU makes of the same code is not looked at.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "liger.txt"


def main() -> int:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONWARNINGS": "ignore"}
    command = [python_with_liger(), "-m", "tests.kernels.interpreted", *sys.argv[1:]]
    return subprocess.run(command, env=environment, check=False).returncode


def python_with_liger() -> Path:
    """The interpreter of an environment with Liger and Triton, which is made where it is not there; 600 MB."""
    folder = Path(os.environ.get("SFT_STUDIO_INTEROP_ENVS") or HERE.parents[1] / ".interop") / "liger"
    stamp, wanted = folder / ".installed", hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print("make kernels: installing Liger and Triton; this takes a minute", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        # torch and transformers are this environment's, whose folder is looked through after its own.
        pip = [python, "-m", "pip", "install", "-q", "--no-input", "--no-deps", "-r", REQUIREMENTS]
        subprocess.run(pip, check=True)
        [own] = folder.glob("lib/python3*/site-packages")
        (own / "studio.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
        stamp.write_text(wanted)
    return python


if __name__ == "__main__":
    sys.exit(main())
