"""A run that TRL trains as a process of its own: the studio's losses, and an adapter kept as any other."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.interop.handing import TOOL_VERSIONS
from app.runs.folder_names import WORKPLACE
from app.runs.work import TrainInput
from app.sentences import FailureCode
from tests.support.installation import UNTIL_STOPPED
from tests.support.processes import end, working_in
from tests.support.said import said
from tests.worker.conftest import Recorder
from worker import memory_kills
from worker.memory_kills import MemoryKills
from worker.work import train
from worker.work.backends.checkpoints import newest_whole
from worker.work.backends.comparison import Comparison
from worker.work.backends.run import FILES, train_there
from worker.work.evaluation.loading import require_adapter
from worker.work.protocol import Cancelled, Control, JobFailed
from worker.work.training.data import load_arrays

HERE = {"python": sys.executable, "version": TOOL_VERSIONS["trl"]}
LENGTHS = [24, 17, 31, 20, 26, 15, 22, 29, 18]
# Trainers of transformers, as every tool has one, on the data in their folder; the second trains the prompts too.
SCRIPT = """
import json, sys, torch
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
from safetensors.numpy import load_file

data = load_file("arrays.safetensors")
edges = data["offsets"].tolist()
rows = [{name: data[name][start:end].tolist() for name in ("input_ids", "labels")}
        for start, end, split in zip(edges, edges[1:], data["split"]) if split == 0]

def collate(rows):
    width = max(len(row["input_ids"]) for row in rows)
    padded = {name: [row[name] + [fill] * (width - len(row[name])) for row in rows]
              for name, fill in (("input_ids", 0), ("labels", -100))}
    if Path("stopped").exists():
        padded["labels"] = padded["input_ids"]
    mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows]
    return {name: torch.tensor(value) for name, value in {**padded, "attention_mask": mask}.items()}

torch.manual_seed(0)
config = LlamaConfig(vocab_size=5000, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
args = TrainingArguments("output", max_steps=10**6, logging_steps=1, report_to="none", save_strategy="no",
                         per_device_train_batch_size=2, use_cpu=True)
for again in range(2):
    trainer = Trainer(LlamaForCausalLM(config), args, train_dataset=rows, data_collator=collate)
    trainer.train()
    Path("stopped").write_text(str(trainer.state.global_step))
"""


def job(values: dict[str, Any], **config: Any) -> TrainInput:
    whole = {**values, "config": {**values["config"], **config}}
    return TrainInput.model_validate({**whole, "backend": HERE} if config else whole)


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
def test_trl_trains_every_weight_as_the_studio_does(
    half: bool, job_input: Callable[..., dict[str, Any]], small_model: Path, tmp_path: Path
) -> None:
    # Which of two steps is the better one, rounding to bf16 may decide.
    full = {
        "use_peft": False,
        "bf16": half,
        "learning_rate": 1e-4,
        "early_stopping_patience": 0 if half else 4,
    }
    values = job_input(LENGTHS, max_steps=6, eval_steps=3, save_steps=3, **full)
    values["base_model_path"] = str(small_model)
    ours, theirs = Recorder(), Recorder()
    kept = train.run(job(values), tmp_path / "studio", ours, Control())
    found = train.run(job(values, backend="trl"), tmp_path / "trl", theirs, Control())
    near = 0.02 if half else 0.0005
    for kind, name in (("metric", "loss"), ("eval", "eval_loss")):
        expected = {row["step"]: row[name] for row in ours.of(kind)}
        assert {row["step"]: row[name] for row in theirs.of(kind)} == pytest.approx(expected, abs=near)
    assert found.eval_loss == pytest.approx(kept.eval_loss, abs=near)
    same = ("adapter", "adapter_step", "steps", "labels_hash", "labels_seen", "adapted", "stop_reason")
    assert {name: getattr(found, name) for name in same} == {name: getattr(kept, name) for name in same}
    assert found.adapter == "model"
    files = [{path.name for path in (tmp_path / who / "model").iterdir()} for who in ("studio", "trl")]
    assert files[0] == files[1]
    configs = [(tmp_path / who / "model" / "config.json").read_text("utf-8") for who in ("studio", "trl")]
    assert configs[0] == configs[1]
    # It is whole by itself, in fp32, and other weights than it began with.
    states = [load_file(tmp_path / who / "model" / "model.safetensors") for who in ("studio", "trl")]
    before = load_file(small_model / "model.safetensors")
    assert states[0].keys() == states[1].keys()
    assert {tensor.dtype for tensor in states[1].values()} == {torch.float32}
    apart = sum(float((tensor - states[0][name]).square().sum()) for name, tensor in states[1].items())
    moved = sum(float((tensor - before[name].float()).square().sum()) for name, tensor in states[1].items())
    assert apart**0.5 <= (0.5 if half else 0.01) * moved**0.5


def test_trl_trains_the_studios_losses_and_its_adapter_is_measured_and_kept(
    job_input: Callable[..., dict[str, Any]],
    small_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = job_input(LENGTHS, max_steps=6, warmup_steps=2, eval_steps=3, save_steps=3)
    values["base_model_path"] = str(small_model)
    ours = Recorder()
    kept = train.run(job(values), tmp_path / "studio", ours, Control())
    # What datasets makes of the data has all tokens in it: nothing of that stays where everybody's caches are.
    monkeypatch.setenv("HF_DATASETS_CACHE", str(everybodys := tmp_path / "cache"))
    # A second attempt, after a worker that was lost before anything was saved.
    again = {**values, "resume_from": str(tmp_path / "lost")}
    theirs = Losing(tmp_path / "trl" / WORKPLACE, tmp_path / "lost" / "1" / WORKPLACE)
    found = train.run(job(again, backend="trl"), tmp_path / "trl", theirs, Control())
    assert "TRL is started anew" in " ".join(said(row) for row in theirs.of("log"))
    for kind, name in (("metric", "loss"), ("metric", "learning_rate"), ("eval", "eval_loss")):
        expected = {row["step"]: row[name] for row in ours.of(kind)}
        assert {row["step"]: row[name] for row in theirs.of(kind)} == pytest.approx(expected, abs=0.005)
    assert [row["step"] for row in theirs.of("progress")] == [1, 2, 3, 4, 5, 6]
    assert all(row["memory_bytes"] and row["tokens_per_second"] for row in theirs.of("metric"))
    same = (
        "adapter_step",
        "steps",
        "total_steps",
        "labels_hash",
        "labels_seen",
        "adapted",
        "left_out",
        "stop_reason",
    )
    assert {name: getattr(found, name) for name in same} == {name: getattr(kept, name) for name in same}
    assert found.eval_loss == pytest.approx(kept.eval_loss, abs=0.005)
    assert found.trained_by == f"TRL {TOOL_VERSIONS['trl']}"
    require_adapter(tmp_path / "trl" / found.adapter)
    files = [{path.name for path in (tmp_path / who / "adapter").iterdir()} for who in ("studio", "trl")]
    assert files[0] == files[1]
    assert (
        f"- Trained by: TRL {TOOL_VERSIONS['trl']}"
        in (tmp_path / "trl" / "adapter" / "README.md").read_text()
    )
    written = json.loads((tmp_path / "trl" / "adapter" / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "org/chat"
    assert not (tmp_path / "trl" / WORKPLACE).exists()
    assert not everybodys.exists()

    # A third one, after a worker that was lost in step 5: it goes on from step 3, with the very losses. Meanwhile TRL was updated.
    goes_on, third = Recorder(), job(again, backend="trl")
    assert third.backend is not None
    third.backend.version = "99.0"
    resumed = train.run(third, tmp_path / "lost" / "2", goes_on, Control())
    told = " ".join(said(row) for row in goes_on.of("log"))
    assert f"That checkpoint is of TRL {TOOL_VERSIONS['trl']}, and 99.0 is installed now" in told
    assert resumed.trained_by == f"TRL {TOOL_VERSIONS['trl']}, 99.0"
    assert "TRL goes on from its own checkpoint of step 3" in " ".join(said(row) for row in goes_on.of("log"))
    whole = {row["step"]: (row["loss"], row["grad_norm"]) for row in theirs.of("metric")}
    rest = {row["step"]: (row["loss"], row["grad_norm"]) for row in goes_on.of("metric")}
    assert rest == {step: figures for step, figures in whole.items() if step > 3}
    assert (resumed.eval_loss, resumed.labels_seen) == (found.eval_loss, found.labels_seen)
    assert resumed.train_loss == pytest.approx(found.train_loss, abs=1e-4)
    # A file that is another by now is not gone on from.
    (optimizer,) = (tmp_path / "lost" / "1").rglob("checkpoint-3/optimizer.pt")
    optimizer.write_bytes(optimizer.read_bytes()[::-1])
    assert newest_whole(tmp_path / "lost") is None


def test_a_tool_that_was_lost_after_its_last_step_takes_no_other(
    job_input: Callable[..., dict[str, Any]], small_model: Path, tmp_path: Path
) -> None:
    # Not at the end of an epoch, where transformers finds nothing left to do by itself.
    values = job_input(LENGTHS, max_steps=6, eval_steps=3, save_steps=3)
    values["base_model_path"] = str(small_model)
    lost, workplace = tmp_path / "lost" / "1" / WORKPLACE, tmp_path / "trl" / WORKPLACE

    class LosingAtTheEnd(Recorder):
        def __call__(self, event: str, /, **payload: Any) -> None:
            super().__call__(event, **payload)
            if (workplace / "whole-6.json").is_file() and not lost.exists():
                leave_behind(workplace, lost)

    found = train.run(job(values, backend="trl"), tmp_path / "trl", LosingAtTheEnd(), Control())
    again, emit = job({**values, "resume_from": str(tmp_path / "lost")}, backend="trl"), Recorder()
    resumed = train.run(again, tmp_path / "lost" / "2", emit, Control())
    assert emit.of("progress") == []
    assert (resumed.steps, resumed.total_steps, resumed.stop_reason) == (6, 6, "finished")
    assert (resumed.eval_loss, resumed.labels_seen) == (found.eval_loss, found.labels_seen)
    states = [
        load_file(folder / "adapter" / "adapter_model.safetensors")
        for folder in (tmp_path / "trl", tmp_path / "lost" / "2")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def leave_behind(workplace: Path, lost: Path, *not_there_yet: str) -> None:
    """What a worker that is lost now leaves."""
    shutil.copytree(workplace, lost, ignore=shutil.ignore_patterns(*not_there_yet))
    for path in lost.glob("whole-*.json"):
        path.write_text(path.read_text().replace(str(workplace), str(lost)))


class Losing(Recorder):
    """Keeps what a worker that is lost in step 5 leaves behind."""

    def __init__(self, workplace: Path, lost: Path) -> None:
        super().__init__()
        self.workplace, self.lost = workplace, lost

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event == "progress" and payload["step"] == 5:
            # It is not stopped for this, and may be done with another step and at its last checkpoint by now.
            leave_behind(self.workplace, self.lost, "checkpoint-6", "tmp*")


def test_what_somebody_killed_leaves_its_checkpoints_to_the_attempt_that_goes_on(
    job_input: Callable[..., dict[str, Any]],
    small_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (counts := tmp_path / "vmstat").write_text("oom_kill 4\n")
    monkeypatch.setattr(memory_kills, "_COUNTED_IN", (str(counts),))
    # It goes on until it is killed, however late its step is heard of, and the checkpoint that was heard of is still there.
    values = job_input(LENGTHS, **UNTIL_STOPPED, eval_steps=1_000_000, save_steps=3, save_total_limit=100)
    values["base_model_path"] = str(small_model)

    class Killing(Recorder):
        def __call__(self, event: str, /, **payload: Any) -> None:
            super().__call__(event, **payload)
            if event == "progress" and payload["step"] >= 5:
                for place in tmp_path.glob(f"*/{WORKPLACE}/{FILES}"):
                    end(working_in(place))

    with pytest.raises(JobFailed, match=r"TRL was ended from outside \(signal SIGKILL\)") as killed:
        train.run(job(values, backend="trl"), tmp_path / "1", Killing(), Control())
    assert killed.value.again is not None
    assert (kept := newest_whole(tmp_path)) is not None

    monkeypatch.setattr(MemoryKills, "one_came", lambda _self: True)
    again, emit = job({**values, "resume_from": str(tmp_path)}, backend="trl"), Killing()
    with pytest.raises(JobFailed, match=r"the system killed TRL \(signal SIGKILL\)") as killed:
        train.run(again, tmp_path / "2", emit, Control())
    assert min(row["step"] for row in emit.of("progress")) == kept.step + 1
    assert killed.value.again is None
    assert not (tmp_path / "2" / WORKPLACE).exists()


@pytest.fixture
def trainer(job_input: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Any]:
    """Runs SCRIPT, or another, as the worker runs a tool's command."""
    values = job_input(LENGTHS)
    comparison = Comparison(load_arrays(Path(values["arrays"]), values["arrays_hash"]), "trl")
    (tmp_path / "train.py").write_text(SCRIPT)

    def run(emit: Recorder, control: Control, script: str = SCRIPT) -> Any:
        (tmp_path / "train.py").write_text(script)
        return train_there("trl", None, Path(sys.executable), tmp_path, comparison, emit, control)

    return run


def test_it_stops_after_a_step_when_told_to_and_other_labels_than_the_checked_ones_never_begin(
    trainer: Callable[..., Any], tmp_path: Path
) -> None:
    """A process that trains twice: first what was checked, until somebody stops it, then the prompts too."""
    control = Control()

    class Stopping(Recorder):
        def __call__(self, event: str, /, **payload: Any) -> None:
            super().__call__(event, **payload)
            if event == "progress" and payload["step"] == 3:
                control.request_stop("save")

    emit = Stopping()
    with pytest.raises(JobFailed, match=r"sample 1, of conversation 101, differs in \d+ tokens") as refused:
        trainer(emit, control)
    assert refused.value.code == FailureCode.ARRAYS_DIFFER
    # It ended its first training by itself, after the step that was under way.
    stopped = int((tmp_path / "stopped").read_text())
    assert stopped >= 3
    assert [row["step"] for row in emit.of("progress")] == list(range(1, stopped + 1))
    wait_for(lambda: not working_in(tmp_path))


LAUNCHER = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"


def test_a_cancel_ends_it_and_whatever_it_started(trainer: Callable[..., Any], tmp_path: Path) -> None:
    control = Control()

    def cancel() -> None:
        wait_for(lambda: len(working_in(tmp_path)) == 2)
        control.request_stop("cancel")

    somebody = threading.Thread(target=cancel)
    somebody.start()
    with pytest.raises(Cancelled):
        trainer(Recorder(), control, LAUNCHER)
    somebody.join(60)
    # What its process had started was killed with it, and may take a moment to be gone.
    wait_for(lambda: not working_in(tmp_path))


def test_another_user_of_the_machine_is_not_listened_to(
    trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
    # It hears that nobody listens while it is still at work.
    with pytest.raises(JobFailed, match="TRL stopped before it was done"):
        trainer(Recorder(), Control(), "import time; time.sleep(600)")


def test_a_tool_that_breaks_is_explained_and_one_that_trains_nothing_too(trainer: Callable[..., Any]) -> None:
    with pytest.raises(JobFailed, match="TRL stopped before it was done: KeyError: 'model'"):
        trainer(Recorder(), Control(), "{}['model']")
    with pytest.raises(JobFailed, match="without having trained anything"):
        trainer(Recorder(), Control(), "print('fine')")


def test_a_tool_that_somebody_interrupts_is_not_taken_for_one_that_is_done(
    trainer: Callable[..., Any], tmp_path: Path
) -> None:
    class Interrupting(Recorder):
        def __call__(self, event: str, /, **payload: Any) -> None:
            super().__call__(event, **payload)
            if event == "progress" and payload["step"] == 2:
                [tool] = working_in(tmp_path)
                tool.send_signal(signal.SIGINT)

    # As Axolotl does: it saves what it has, and is content.
    content = "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n"
    with pytest.raises(JobFailed, match=r"TRL ended by itself after step \d+ of 1,000,000") as ended:
        trainer(Interrupting(), Control(), content + SCRIPT)
    assert ended.value.again is not None


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(4800):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true")
