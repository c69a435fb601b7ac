"""TRL's early stopping in a run whose worker was lost: it stops at the step at which it would have stopped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.runs.folder_names import WORKPLACE
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.backends.test_run import LENGTHS, job
from worker.work import train
from worker.work.protocol import Control


def test_early_stopping_goes_on_with_the_patience_that_was_left(
    job_input: Callable[..., dict[str, Any]], small_model: Path, tmp_path: Path
) -> None:
    # At such a rate each measurement but the first ones is worse than the one before.
    config = {"max_steps": 20, "eval_steps": 1, "save_steps": 1, "learning_rate": 0.01, "warmup_steps": 0}
    values = job_input(LENGTHS, **config, early_stopping_patience=3, save_total_limit=20)
    values["base_model_path"] = str(small_model)
    workplace = tmp_path / "run" / "1" / WORKPLACE

    class LosingEachTime(Recorder):
        def __call__(self, event: str, /, **payload: Any) -> None:
            super().__call__(event, **payload)
            for step in range(1, 20):
                kept = tmp_path / f"lost-{step}"
                if (workplace / f"whole-{step}.json").is_file() and not kept.exists():
                    later = (f"*-{number}*" for number in range(step + 1, 20))
                    shutil.copytree(workplace, kept, ignore=shutil.ignore_patterns("tmp*", *later))

    whole = LosingEachTime()
    found = train.run(job(values, backend="trl"), workplace.parent, whole, Control())
    assert found.stop_reason == "no_improvement"
    assert 3 < found.steps < 20
    measured = {row["step"]: row["eval_loss"] for row in whole.of("eval")}
    again = job({**values, "resume_from": str(tmp_path / "run")}, backend="trl")
    # With some patience left, and with none.
    for step in (found.steps - 2, found.steps):
        shutil.copytree(tmp_path / f"lost-{step}", workplace)
        emit = Recorder()
        resumed = train.run(again, tmp_path / "run" / "2", emit, Control())
        shutil.rmtree(workplace)
        assert f"checkpoint of step {step}" in " ".join(said(row) for row in emit.of("log"))
        assert [row["step"] for row in emit.of("progress")] == list(range(step + 1, found.steps + 1))
        assert {row["step"]: row["eval_loss"] for row in emit.of("eval")}.items() <= measured.items()
        same = ("steps", "adapter_step", "eval_loss", "labels_seen", "stop_reason")
        assert {name: getattr(resumed, name) for name in same} == {
            name: getattr(found, name) for name in same
        }
