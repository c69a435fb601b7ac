"""What the pictures show: one longer run, a sweep of short ones, a run by another trainer, one that falls ill, files made of a run."""

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
ENOUGH_POINTS: Final = 12
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
    model: str = ""
    run: int = 0
    sweep: int = 0
    other: int = 0
    ill: int = 0

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
        """Dialogues, and a run that is some steps on its way: of a model that is small enough to be trained in minutes on two cores."""
        self.command("import", str(ROOT / "app" / "samples" / "sales.en.jsonl"), "--dataset", DATASET)
        self.command("approve", "--dataset", DATASET)
        self.model = str(shutil.copytree(base_folder(), self.folder / MODELS / "small-llama"))
        minutes = (
            "max_train_minutes=3",
            "logging_steps=5",
            "eval_steps=50",
            "save_steps=50",
            "sample_count=2",
        )
        self.run = self._train("num_train_epochs=100", *minutes)
        self.until(lambda: len(self._losses(self.run)) >= ENOUGH_POINTS, "there is a curve to see")

    def line_up(self) -> None:
        """What waits behind it: a sweep, a run that TRL trains, and one that falls ill."""
        more = (
            "per_device_train_batch_size=4",
            "max_steps=120",
            "logging_steps=2",
            "eval_steps=5",
            "sample_count=0",
        )
        rates = ("--set", "learning_rate=3e-4,1e-3,1e-2")
        sweep = self.command(
            "sweep", "--dataset", DATASET, "--model", self.model, *rates, *_settings(*more), *_ACCEPTED, "--no-wait", "--json",
        )  # fmt: skip
        self.sweep = sweep["id"]
        self.other = self._train("backend=trl", "max_steps=40", "eval_steps=10", "sample_count=0")

        # With steps this large the loss jumps at once, and answers become one and the same.
        large = ("learning_rate=1e-2", "lora_alpha=4096", "lr_scheduler_type=constant", "max_grad_norm=100")
        often = ("warmup_ratio=0", "num_train_epochs=4", "logging_steps=1", "eval_steps=5", "sample_count=2")
        self.ill = self._train(*large, *often)

    def finish(self) -> None:
        """All runs end, the first one is judged and taken elsewhere."""
        for run in (self.run, self.other, self.ill):
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

    def _train(self, *settings: str) -> int:
        made = self.command(
            "train",
            "--dataset",
            DATASET,
            "--model",
            self.model,
            *_settings(*settings),
            *_ACCEPTED,
            "--no-wait",
            "--json",
        )
        return int(made["id"])

    def _losses(self, run: int) -> list[Any]:
        found: list[Any] = self.answer(f"/runs/{run}/curves")["step"]
        return found

    def _has_ended(self, run: int) -> bool:
        return self.answer(f"/runs/{run}")["job"]["state"] in ("succeeded", "failed", "cancelled")


def _settings(*pairs: str) -> tuple[str, ...]:
    return tuple(word for pair in pairs for word in ("--set", pair))
