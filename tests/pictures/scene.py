"""What the pictures show: one run of the bundled model, a sweep of short ones, a run by another trainer, files made of a run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.browser.studio import ROOT, Studio
from tests.support.small_runs import base_folder

DATASET: Final = "Sales calls"
# Below the scene's folder, as the server has to know where local models may lie.
MODELS: Final = "models"
WAIT_SECONDS: Final = 1200
# The small model reads few tokens, and cuts what is longer.
_ACCEPTED: Final = ("--accept", "truncated", "--accept", "end_of_turn", "--accept", "learning_rate")


@dataclass
class Scene:
    """A running studio and what was started on it; ids of runs."""

    studio: Studio
    folder: Path
    run: int = 0
    sweep: int = 0
    failing: int = 0
    other: int = 0

    def command(self, *arguments: str) -> Any:
        """A command as a person types it; its JSON where it gives one."""
        environment = {
            **os.environ,
            "SFT_STUDIO_URL": self.studio.url,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }
        environment["SFT_STUDIO_DATA"] = str(self.studio.data_dir)
        words = [sys.executable, "-m", "app.cli", *arguments]
        done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"sft-studio {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def answer(self, path: str) -> Any:
        """What REST says."""
        with self.studio.api() as api:
            return api.get(path).raise_for_status().json()

    def begin(self) -> None:
        """Dialogues, and a run of the bundled model that is some steps on its way."""
        self.command("import", str(ROOT / "app" / "samples" / "sales.en.jsonl"), "--dataset", DATASET)
        self.command("approve", "--dataset", DATASET)
        self.run = self._train(
            "bundled",
            "max_train_minutes=4",
            "logging_steps=1",
            "eval_steps=5",
            "save_steps=5",
            "sample_count=2",
        )
        self.until(lambda: len(self._losses(self.run)) >= 12, "the run has taken twelve steps")

    def line_up(self) -> None:
        """What waits behind it: a sweep of a small model, one of whose values is far too high, and a run that TRL trains."""
        small = self._small_model()
        more = ("per_device_train_batch_size=4", "max_steps=120", "eval_steps=10", "sample_count=0")
        rates = ("--set", "learning_rate=3e-4,1e-3,3e-2")
        sweep = self.command(
            "sweep", "--dataset", DATASET, "--model", small, *rates, *_settings(*more), *_ACCEPTED, "--no-wait", "--json",
        )  # fmt: skip
        self.sweep, self.failing = sweep["id"], sweep["runs"][-1]["run_id"]
        self.other = self._train(small, "backend=trl", "max_steps=40", "eval_steps=10", "sample_count=0")

    def finish(self) -> None:
        """All runs end, the first one is judged and taken elsewhere."""
        for run in (self.run, self.failing, self.other):
            self.until(lambda run=run: self._has_ended(run), f"run {run} has ended")
        self.command("evaluate", "--run", str(self.run), "--suite", "sales-en", "--max-cases", "8")
        for kind in ("adapter", "gguf"):
            out = self.folder / kind
            self.command("export", "--run", str(self.run), "--as", kind, "--out", str(out))

    def until(self, true: Callable[[], object], what: str) -> None:
        """Raises TimeoutError saying what was waited for in vain."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain until {what}\n{self.studio.logs()}")
            time.sleep(0.5)

    def _train(self, model: str, *settings: str) -> int:
        made = self.command(
            "train",
            "--dataset",
            DATASET,
            "--model",
            model,
            *_settings(*settings),
            *_ACCEPTED,
            "--no-wait",
            "--json",
        )
        return int(made["id"])

    def _small_model(self) -> str:
        return str(shutil.copytree(base_folder(), self.folder / MODELS / "small-llama"))

    def _losses(self, run: int) -> list[Any]:
        found: list[Any] = self.answer(f"/runs/{run}/curves")["metrics"]
        return found

    def _has_ended(self, run: int) -> bool:
        return self.answer(f"/runs/{run}")["job"]["state"] in ("succeeded", "failed", "cancelled")


def _settings(*pairs: str) -> tuple[str, ...]:
    return tuple(word for pair in pairs for word in ("--set", pair))
