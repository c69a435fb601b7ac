"""TensorBoard's event files of a run: every figure at its step, and after an interruption those that still count."""

import struct
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from app.jobs.events import EventKind
from app.runs.work import TrainInput
from tests.worker.conftest import PROVENANCE, Recorder
from worker.work.tensorboard import EventFiles


def job(resume_from: Path | None = None, **config: Any) -> TrainInput:
    """Of a run that trains nothing here."""
    return TrainInput.model_validate(
        {
            "arrays": "arrays.safetensors",
            "arrays_hash": "a" * 64,
            "base_model_path": "base",
            "provenance": PROVENANCE,
            "config": config,
            "resume_from": str(resume_from) if resume_from else None,
        }
    )


def written(folder: Path) -> list[Event]:
    """Every event, file by file as TensorBoard reads them: records of length, checksum, bytes, checksum."""
    found = []
    for path in sorted(folder.glob("tensorboard/*")):
        data = path.read_bytes()
        place = 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            found.append(Event.FromString(data[place + 12 : place + 12 + length]))
            place += 16 + length
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """By tag, steps and values, without what a later start takes back."""
    shown: dict[str, list[tuple[int, float]]] = {}
    for event in written(folder):
        if event.HasField("session_log"):
            shown = {tag: [one for one in points if one[0] < event.step] for tag, points in shown.items()}
        for value in event.summary.value:
            if not value.tag.startswith("_hparams_"):
                shown.setdefault(value.tag, []).append((event.step, round(value.simple_value, 4)))
    return shown


def metric(told: EventFiles, step: int, loss: float) -> None:
    """A logged step as the trainer tells it."""
    told(
        EventKind.METRIC,
        step=step,
        epoch=0.5,
        loss=loss,
        learning_rate=1e-4,
        grad_norm=None,
        tokens_per_second=80.5,
        memory_bytes=1000,
    )


def test_every_figure_is_at_its_step_and_every_event_goes_on(tmp_path: Path) -> None:
    emit = Recorder()
    with EventFiles(emit, tmp_path, job(learning_rate=2e-4)) as told:
        told(EventKind.EVAL, step=0, eval_loss=3.0, mixed_loss=2.0)
        metric(told, 1, 2.5)
        metric(told, 2, 2.25)
        told(EventKind.CHECKPOINT, step=2, path="checkpoints/checkpoint-2")
    assert [event["event"] for event in emit.events] == ["eval", "metric", "metric", "checkpoint"]
    shown = scalars(tmp_path)
    assert shown["train/loss"] == [(1, 2.5), (2, 2.25)]
    assert (shown["eval/loss"], shown["eval/mixed_loss"]) == ([(0, 3.0)], [(0, 2.0)])
    assert shown["train/tokens_per_second"] == [(1, 80.5), (2, 80.5)]
    assert "train/grad_norm" not in shown
    (start,) = [
        value
        for event in written(tmp_path)
        for value in event.summary.value
        if value.tag == "_hparams_/session_start_info"
    ]
    told_of = HParamsPluginData.FromString(start.metadata.plugin_data.content).session_start_info.hparams
    assert told_of["learning_rate"].number_value == 2e-4
    assert told_of["lora_target_modules"].string_value == "all-linear"


def test_an_attempt_that_goes_on_takes_back_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    with EventFiles(Recorder(), tmp_path / "1", job()) as first:
        for step in range(1, 6):
            metric(first, step, 3 - step / 10)
    # Of the second attempt nothing was told before it was lost.
    (tmp_path / "2").mkdir()
    with EventFiles(Recorder(), tmp_path / "3", job(tmp_path)) as third:
        metric(third, 4, 1.4)
        metric(third, 5, 1.5)
    assert scalars(tmp_path / "3")["train/loss"] == [(1, 2.9), (2, 2.8), (3, 2.7), (4, 1.4), (5, 1.5)]


def test_an_attempt_that_measures_nothing_has_what_those_before_it_measured_up_to_its_end(
    tmp_path: Path,
) -> None:
    with EventFiles(Recorder(), tmp_path / "1", job()) as first:
        for step in range(1, 6):
            metric(first, step, 3 - step / 10)
    # It went on from a checkpoint after the fourth step, and was to stop and keep that.
    with EventFiles(Recorder(), tmp_path / "2", job(tmp_path)) as second:
        assert len(scalars(tmp_path / "2")["train/loss"]) == 5
        second(EventKind.RESTORED, step=4)
        # a reader who looks now sees it already
        assert scalars(tmp_path / "2")["train/loss"][-1] == (4, 2.6)
    assert scalars(tmp_path / "2")["train/loss"] == [(1, 2.9), (2, 2.8), (3, 2.7), (4, 2.6)]


def test_files_are_taken_along_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EventFiles(Recorder(), tmp_path / "1", job()) as first:
        metric(first, 1, 2.5)
    with EventFiles(Recorder(), tmp_path / "2", job(tmp_path)) as second:
        metric(second, 2, 2.25)

    def killed(_source: Path, _place: Path) -> None:
        raise SystemExit

    (tmp_path / "3").mkdir()
    third = EventFiles(Recorder(), tmp_path / "3", job(tmp_path))
    with monkeypatch.context() as on_the_way:
        on_the_way.setattr("worker.work.tensorboard.shutil.copyfile", killed)
        with pytest.raises(SystemExit):
            third.__enter__()
    with EventFiles(Recorder(), tmp_path / "4", job(tmp_path)) as fourth:
        metric(fourth, 3, 2.0)
    assert scalars(tmp_path / "4")["train/loss"] == [(1, 2.5), (2, 2.25), (3, 2.0)]


def test_a_run_that_measures_nothing_has_no_file_and_a_folder_that_takes_none_ends_no_run(
    tmp_path: Path,
) -> None:
    with EventFiles(Recorder(), tmp_path, job()) as told:
        told(EventKind.PROGRESS, step=1, total_steps=2)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "tensorboard").write_text("no folder")
    emit = Recorder()
    with EventFiles(emit, tmp_path, job()) as told:
        metric(told, 1, 2.5)
        metric(told, 2, 2.5)
    assert len(emit.of("metric")) == 2
    (warning,) = emit.of("log")
    assert warning["level"] == "warning"
