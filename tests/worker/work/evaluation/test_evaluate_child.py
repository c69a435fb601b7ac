"""An `evaluate` job as the worker runs it: in a child process, over the real protocol."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.model


def start(job: dict[str, Any], folder: Path) -> subprocess.Popen[str]:
    path = folder / "job.json"
    path.write_text(
        json.dumps({"kind": "evaluate", "job_id": 1, "attempt": 1, "output_dir": str(folder), "input": job})
    )
    return subprocess.Popen(
        [sys.executable, "-m", "worker.work.child", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=PROJECT,
    )


@pytest.fixture
def job(base_model_folder: Path, adapter_folder: Path) -> dict[str, Any]:
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    prompts = [{"key": "one", "messages": asked}, {"key": "two", "messages": asked}]
    return {
        "base_model_path": str(base_model_folder),
        "adapter_path": str(adapter_folder),
        "arrays": None,
        "suite": {"name": "capitals", "prompts": prompts},
        "generation": {"max_new_tokens": 3},
    }


def test_answers_come_as_events_and_the_result_last(job: dict[str, Any], tmp_path: Path) -> None:
    process = start(job, tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(120) == 0
    process.stdin.close()
    answers = {(e["suite"], e["prompt_key"], e["variant"]) for e in events if e["event"] == "answer"}
    assert answers == {("capitals", key, side) for key in ("one", "two") for side in ("base", "tuned")}
    assert events[-1]["event"] == "result"


def test_a_cancelled_evaluation_ends_promptly(job: dict[str, Any], tmp_path: Path) -> None:
    story = {
        "key": "story",
        "messages": [{"role": "user", "content": "Tell me a very long story about a ship."}],
    }
    job["suite"] = {"name": "long", "prompts": [story] * 8}
    job["generation"] = {"max_new_tokens": 2000, "batch_size": 8}
    process = start(job, tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("phase") == "base_answers":
            break
    process.stdin.write('{"stop": "cancel"}\n')
    process.stdin.flush()
    after = [json.loads(line) for line in process.stdout]
    process.wait(120)
    process.stdin.close()
    assert after[-1]["event"] == "cancelled"
    # 16,000 tokens were asked for: none of the answers was written to its end
    assert [event for event in after if event["event"] == "answer"] == []
