"""From the preview of a frozen conversation to the targets of the loss: the same tokens, through the check of the
version, its arrays, packing, batching and lanes.
"""

from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from sqlmodel import Session

from app.base_models.models import BaseModelSource, ModelEntry
from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.masking import MaskSettings
from app.runs.handler import Train
from app.runs.service import RunRequest, start_run
from app.runs.work import TrainInput
from tests.support.checked import freeze_these, really_check
from tests.support.people import Person
from tests.support.training import ENGINEER
from tests.worker.conftest import Recorder
from worker.work.protocol import Control
from worker.work.training import forward, sft

DIALOGUES: list[list[dict[str, Any]]] = [
    [
        {"role": "user", "content": f"{question} <|im_end|>" if place == 2 else question},
        {"role": "assistant", "content": f"Let me ask first: {question} 你好😀", "train": place != 3},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": "word " * (4 * place + 1)},
    ]
    for place, question in enumerate(
        ["What is it?", "多少钱？", "Ignore that", "Too dear.", "And then?", "Why?"]
    )
]
SETTINGS: list[dict[str, Any]] = [
    {"max_length": 90},
    {"train_on": "last_assistant"},
    {"train_on": "content"},
    {"train_on": "all"},  # trains first tokens too, which nothing before them may predict
    {"handling": "per_turn"},
    {"handling": "sliding_window", "max_length": 80},
]
# For each token of a sample in turn: its id, and what the loss wants at its place (the next token, or nothing).
Seen = list[tuple[int, int]]


class Watch:
    """Everything that goes into the loss once training begins, a conversation at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.samples: list[Seen] = []
        self.wanted: list[list[int]] = []
        honest_pass, honest_loss = forward.PackedPass.__call__, forward.cross_entropy_sum

        def watched_pass(own: Any, batch: dict[str, Any]) -> Any:
            targets = forward.next_token_targets(batch["labels"], batch["borders"]).tolist()
            ids = batch["input_ids"][0].tolist()
            self.samples += [
                list(zip(ids[start:end], targets[start:end], strict=True))
                for start, end in pairwise(batch["borders"])
            ]
            return honest_pass(own, batch)

        def watched_loss(hidden: torch.Tensor, head: Any, targets: torch.Tensor) -> torch.Tensor:
            self.wanted.append(targets.tolist())
            return honest_loss(hidden, head, targets)

        monkeypatch.setattr(forward.PackedPass, "__call__", watched_pass)
        monkeypatch.setattr(forward, "cross_entropy_sum", watched_loss)

    def begin(self) -> None:
        """What the passes were tried on before, a conversation made up for it too, was not learned from."""
        self.samples.clear()
        self.wanted.clear()


class Beginning(Recorder):
    """Tells the watch when training begins; afterwards, that it goes on after a measurement."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch: Watch | None = watch

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event == "phase" and payload["phase"] == "training" and self.watch:
            self.watch.begin()
            self.watch = None


def shown(person: Person, version: int, model: int, ids: list[int], settings: dict[str, Any]) -> list[Seen]:
    """What the preview of every conversation says, by REST."""
    found = []
    for conversation in ids:
        body = {
            "base_model_id": model,
            "conversation_id": conversation,
            "dataset_version_id": version,
            "settings": settings,
        }
        for sample in person.api.post("/api/v1/mask-previews", json=body).json():
            tokens = sample["tokens"]
            wanted = [token["id"] if token["trained"] else -100 for token in tokens]
            if sample["trained"]:
                found.append(list(zip([token["id"] for token in tokens], [*wanted[1:], -100], strict=True)))
    return found


def run_input(session: Session, app: FastAPI, check_id: int) -> TrainInput:
    run, _created = start_run(
        session,
        ENGINEER,
        RunRequest(
            check_id,
            recipe="quick",
            confirmed=True,
            changes={"num_train_epochs": 1},
            accepted_warnings=("held_out",),
        ),
    )
    claim = jobs.claim(session, run.job_id, owner="test", lease_seconds=30)
    assert claim is not None
    place = Workplace(app.state.settings, app.state.storage, output_key=f"jobs/{run.job_id}/1")
    return Train(lambda _session, _run: []).child_input(session, place, claim)


@pytest.mark.model
# One lane and several differ in which conversations stand together, whatever of them is trained.
@pytest.mark.parametrize(("threads", "chosen"), [(1, SETTINGS[0]), *((2, one) for one in SETTINGS)], ids=str)
def test_what_a_preview_shows_as_trained_is_what_the_loss_is_taken_of(
    app: FastAPI,
    engineer: Person,
    small_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: dict[str, Any],
    threads: int,
) -> None:
    torch.set_num_threads(threads)  # with two the batch goes through lanes
    storage: Storage = app.state.storage
    with transaction(app.state.engine) as session:
        row = ModelEntry(name="m", source=BaseModelSource.LOCAL, reference="m", path=str(small_model))
        session.add(row)
        session.flush()
        version, ids = freeze_these(session, storage, DIALOGUES)
        check = really_check(session, storage, version, row.id or 0, MaskSettings(**chosen))
        assert check.passed, check.report
        numbers = version.id or 0, row.id or 0
        job = run_input(session, app, check.id or 0)
    expected = shown(engineer, *numbers, ids, chosen)
    watch = Watch(monkeypatch)
    result = sft.run(job, tmp_path / "out", Beginning(watch), Control())
    assert result.labels_hash == job.arrays_hash
    assert result.labels_seen == len(expected)
    seen = {tuple(sample) for sample in watch.samples}
    assert seen == {tuple(sample) for sample in expected}
    # And of each batch exactly the wanted ones went into the cross-entropy.
    wanted = [[target for _, target in sample if target != -100] for sample in watch.samples]
    assert sorted(chain.from_iterable(watch.wanted)) == sorted(chain.from_iterable(wanted))
