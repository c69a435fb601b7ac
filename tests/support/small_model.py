"""The real small model, converted from its wheel once for all test processes."""

import os
import shutil
from pathlib import Path

from filelock import FileLock

CACHE = Path(__file__).resolve().parents[2] / ".test-cache"


def small_model_folder() -> Path:
    """SmolLM2-135M-Instruct as safetensors: SFT_STUDIO_TEST_MODEL, or a cache beside `.data`, which is the studio's alone."""
    given = os.environ.get("SFT_STUDIO_TEST_MODEL")
    if given:
        return Path(given)
    folder = CACHE / "smollm2"
    CACHE.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes; the first one converts, the others wait.
    with FileLock(CACHE / "smollm2.lock"):
        if not (folder / "model.safetensors").is_file():
            from app.base_models.work import PrepareInput
            from worker.work.preparing import run
            from worker.work.protocol import Control

            shutil.rmtree(folder, ignore_errors=True)
            made = run(
                PrepareInput(source="bundled"),
                CACHE / "converting",
                lambda *_args, **_fields: None,
                Control(),
            )
            (CACHE / "converting" / made.path).rename(folder)
    return folder
