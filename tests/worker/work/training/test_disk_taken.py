"""What a run takes of the disk while it goes on, beside what was expected of it: by real runs of a tiny model with a large adapter."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from app.interop.handing import TOOL_VERSIONS
from app.recipes.config import TrainingConfig
from app.recipes.disk import estimate_disk
from app.recipes.estimates import estimate_steps
from app.runs.work import TrainInput
from tests.support import small_runs
from tests.worker.conftest import Recorder
from tests.worker.work import doing
from tests.worker.work.training.test_memory import facts_of
from worker.work import train
from worker.work.protocol import Control
from worker.work.training import trainer

CLOSE_ENOUGH = 0.15
TRAINING, HELD_OUT = small_runs.exchanges()[:8], small_runs.exchanges()[8:10]
# Half a million trained numbers, beside which a page of JSON is little.
LARGE: dict[str, Any] = {
    "lora_r": 256,
    "lora_alpha": 256,
    "lora_dropout": 0.0,
    "per_device_train_batch_size": 2,
    "num_train_epochs": 2,
    "learning_rate": 1e-4,
    "warmup_ratio": 0.0,
    "save_steps": 2,
    "eval_steps": 2,
}


def taken(folder: Path) -> int:
    """Bytes of all files below a folder, each once however many names it has. Files come and go meanwhile."""
    found: dict[int, int] = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                found[path.stat().st_ino] = path.stat().st_size
        except FileNotFoundError:
            continue
    return sum(found.values())


class Watching:
    """Notes the most that a folder took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.most = folder, 0

    def look(self) -> None:
        self.most = max(self.most, taken(self.folder))


def expected(job: dict[str, Any]) -> int:
    config = TrainingConfig(**job["config"])
    estimate = estimate_steps(len(TRAINING), config)
    found = estimate_disk(estimate, config, facts_of(Path(job["base_model_path"])), on_cpu=True)
    assert found is not None
    return found


def large_job(folder: Path, **config: Any) -> dict[str, Any]:
    return small_runs.job(folder, training=TRAINING, held_out=HELD_OUT, **{**LARGE, **config})


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"save_total_limit": 2},
        {"save_steps": 100},
        {"use_dora": True, "save_total_limit": 2},
        {"load_in_4bit": True, "optim": "paged_adamw_8bit", "save_total_limit": 2},
        {"use_peft": False, "save_total_limit": 2},
        {"optim": "sgd"},
        {"early_stopping_patience": 8, "save_total_limit": 2},
        {"early_stopping_patience": 8, "save_steps": 100},
        {"early_stopping_patience": 8, "eval_steps": 3, "save_total_limit": 3},
    ],
    ids=str,
)
def test_a_run_takes_what_was_expected(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, output = large_job(tmp_path, **config), tmp_path / "out"
    watching, thin_out = Watching(output), trainer.thin_out

    def before_one_goes(*args: Any) -> None:
        watching.look()
        thin_out(*args)

    monkeypatch.setattr(trainer, "thin_out", before_one_goes)
    doing.train(job, output, Recorder(), Control())
    watching.look()
    assert expected(job) == pytest.approx(watching.most, rel=CLOSE_ENOUGH)


@pytest.mark.parametrize("config", [{}, {"early_stopping_patience": 8, "save_steps": 4}], ids=str)
def test_another_trainer_takes_what_was_expected(config: dict[str, Any], tmp_path: Path) -> None:
    """TRL stands for those whose trainer is transformers', which are all."""
    job, output = large_job(tmp_path, backend="trl", **config), tmp_path / "out"
    watching, over = Watching(output), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            watching.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        told = {**job, "backend": {"python": sys.executable, "version": TOOL_VERSIONS["trl"]}}
        train.run(TrainInput.model_validate(told), output, Recorder(), Control())
    finally:
        over.set()
        thread.join(60)
    assert expected(job) == pytest.approx(watching.most, rel=CLOSE_ENOUGH)
