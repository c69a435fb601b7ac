"""Weights & Biases by its own package, offline: what lies in its file afterwards, and what keeps it from being told."""

import os
import signal
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from wandb.proto.wandb_internal_pb2 import Record

from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.models import JobState
from app.runs.tracking import TrackingState
from app.trackers.telling import Teller
from app.trackers.tracker import TrackerTrouble
from app.trackers.wandb import WandbTracker
from tests.support.people import Person
from tests.trackers.test_mlflow import told
from tests.trackers.test_telling import begun, due_now, ended, measured, row, shown

pytestmark = pytest.mark.usefixtures("silent_bell")
BLOCK = 32768


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation that writes for Weights & Biases and tells no other."""
    changes = {"mlflow_uri": "", "wandb_project": "sales", "wandb_mode": "offline"}
    return settings.model_copy(update=changes)


def records(path: Path) -> Iterator[Record]:
    """Of a file as the package writes it: LevelDB's log format after seven bytes, records in blocks, some in pieces."""
    data, place, pieces = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        _checksum, length, kind = struct.unpack_from("<IHB", data, place)
        pieces += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(pieces)
            pieces = b""


def written(settings: Settings) -> dict[str, Any]:
    """What all its files of a run say together."""
    found: dict[str, Any] = {"ids": set(), "config": {}, "history": [], "files": set(), "exits": []}
    for path in sorted((settings.data_dir / "wandb").glob("offline-run-*/run-*.wandb")):
        for one in records(path):
            match one.WhichOneof("record_type"):
                case "run":
                    found["ids"].add((one.run.run_id, one.run.project, one.run.display_name))
                    found["config"] |= {item.key: item.value_json for item in one.run.config.update}
                case "history":
                    named = {
                        ".".join(item.nested_key) or item.key: item.value_json for item in one.history.item
                    }
                    found["history"].append(named)
                case "files":
                    found["files"] |= {item.path for item in one.files.files}
                case "exit":
                    found["exits"].append(one.exit.exit_code)
    return found


def test_a_run_is_written_offline_whole_and_goes_on_under_its_id_when_the_process_was_killed(
    app: FastAPI, storage: Storage, engineer: Person
) -> None:
    settings = app.state.settings
    run_id, claim = begun(app, storage, name="Köln, 报价")
    tracker = WandbTracker(settings)
    teller = Teller(app.state.engine, settings, storage, tracker, owner="w", stop=threading.Event())
    measured(app, claim, range(1, 4))
    assert teller.round() == 1
    assert (row(app).state, row(app).step) == (TrackingState.BEGUN, 3)
    (conversation,) = tracker._open.values()
    os.kill(conversation.process.pid, signal.SIGKILL)
    measured(app, claim, range(4, 6))
    teller.round()
    assert "ended (exit code -9)" in shown(engineer, run_id)["detail"]
    ended(app, claim, JobState.SUCCEEDED)
    due_now(app)
    teller.round()
    assert shown(engineer, run_id) == {
        **shown(engineer, run_id), "state": "told", "step": 5, "url": None, "detail": "", "destination": "sales"
    }  # fmt: skip
    assert tracker._open == {}, "nothing is left running"
    found = written(settings)
    assert found["ids"] == {(row(app).key, "sales", "Köln, 报价")}
    assert (found["config"]["learning_rate"], found["config"]["sft_studio.run"]) == ('"5e-5"', f'"{run_id}"')
    losses = {
        int(line["step"]): float(line["train/loss"]) for line in found["history"] if "train/loss" in line
    }
    assert losses == {step: 3 - step / 1000 for step in range(1, 6)}
    assert {(line["step"], line["eval/loss"]) for line in found["history"] if "eval/loss" in line} == {
        ("3", "2.5"),
        ("5", "2.5"),
    }
    assert found["files"] >= {"manifest.json"}
    assert found["exits"] == [0]


def test_what_the_package_refuses_and_one_that_hangs_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.data_dir.mkdir()
    for name in ("WANDB_API_KEY", "HOME", "NETRC"):
        monkeypatch.setenv(name, "" if name == "WANDB_API_KEY" else str(settings.data_dir))
    online = WandbTracker(settings.model_copy(update={"wandb_mode": "online"}))
    with pytest.raises(TrackerTrouble, match=r"Weights & Biases: .*API key"):
        online.begin(told(), None)
    assert online._open == {}
    monkeypatch.setattr("app.trackers.wandb._BEGIN_SECONDS", 0.0)
    with pytest.raises(TrackerTrouble, match="did not answer within"):
        WandbTracker(settings).begin(told(), None)
    monkeypatch.setattr("app.trackers.wandb.is_installed", lambda: False)
    with pytest.raises(TrackerTrouble, match=r"pip install 'sft-studio\[wandb\]'"):
        WandbTracker(settings).look()
