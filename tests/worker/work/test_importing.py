"""How far the reading of a file is told, whatever it is packed in, and that it ends when it is told to."""

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.imports.work import ImportInput, ImportResult
from app.interchange import Source
from app.interchange.mapping.model import DialogueMapping
from app.jobs.events import EventKind
from app.jobs.models import StopRequest
from worker.work import importing
from worker.work.protocol import Cancelled, Control

ROWS = [{"room": str(number % 7), "at": str(-number), "who": "AB"[number % 2]} for number in range(2_000)]
SORTED = DialogueMapping(
    turns="rows", conversation="room", order="at", side="who", text="words",
    sides={"A": "user", "B": "assistant"}, merge=True,
)  # fmt: skip


def lines(first: int, last: int) -> bytes:
    return b"\n".join(
        json.dumps({**row, "instruction": f"{at}?", "output": f"{at * at}", "words": f"{at} words"}).encode()
        for at, row in enumerate(ROWS[first:last], first)
    )


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", lines(0, 500))
        archive.writestr("b.jsonl", lines(500, 2_000))
    return file.getvalue()


FILES = {
    "plain.jsonl": (lines(0, 2_000), None),
    "all.jsonl.gz": (gzip.compress(lines(0, 2_000)), None),
    "two.zip": (zipped(), None),
    "sorted.jsonl.gz": (gzip.compress(lines(0, 2_000)), SORTED),
}


@pytest.fixture(autouse=True)
def told_each_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(importing, "_TELL_SECONDS", -1.0)
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before


def read(name: str, folder: Path, control: Control, told: list[int]) -> ImportResult:
    data, mapping = FILES[name]
    (folder / name).write_bytes(data)

    def emit(kind: EventKind, **payload: Any) -> None:
        if kind is EventKind.PROGRESS:
            told.append(payload["step"])

    job = ImportInput(
        file=str(folder / name),
        filename=name,
        format="auto",
        skip_bad=False,
        most_bytes=10_000_000,
        source=Source(mapping=mapping),
    )
    return importing.run(job, folder, emit, control)


@pytest.mark.parametrize("name", FILES)
def test_progress_goes_evenly_from_the_beginning_of_the_file_to_its_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    told: list[int] = []
    found = read(name, tmp_path, Control(), told)
    assert found.read is not None
    assert found.read.accepted == (7 if name.startswith("sorted") else 2_000)
    size = len(FILES[name][0])
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, size)
    middle = [step for step in told if 0.2 * size < step < 0.8 * size]
    assert middle, "it is told on the way too"


def test_rows_that_wait_to_be_sorted_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    control = Control()

    class Enough(list[int]):
        def append(self, step: int) -> None:
            super().append(step)
            if step:
                control.request_stop(StopRequest.CANCEL)

    told = Enough()
    with pytest.raises(Cancelled):
        read("sorted.jsonl.gz", tmp_path, control, told)
    assert told[-1] < len(FILES["sorted.jsonl.gz"][0])
